//! The names of columns in Portuguese, for people who read an export in a spreadsheet.

/// The language of the column names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Headers {
    /// The names of the API.
    #[default]
    Api,
    Portuguese,
}

impl Headers {
    /// The name of a column. One without a Portuguese name keeps that of the API; a test finds it.
    pub fn name(self, column: &'static str) -> &'static str {
        match self {
            Self::Api => column,
            Self::Portuguese => portuguese(column).unwrap_or(column),
        }
    }
}

fn portuguese(column: &str) -> Option<&'static str> {
    PORTUGUESE.iter().find(|(name, _)| *name == column).map(|(_, name)| *name)
}

/// docs/bi.md has the same table.
pub const PORTUGUESE: &[(&str, &str)] = &[
    ("id", "Identificador"),
    ("productId", "Id do produto"),
    ("publicationId", "Id da publicação"),
    ("revisionId", "Id da revisão"),
    ("name", "Nome"),
    ("process", "Processo"),
    ("macroProcess", "Macroprocesso"),
    ("referenceDate", "Data do produto"),
    ("periodStart", "Início do período"),
    ("periodEnd", "Fim do período"),
    ("granularity", "Periodicidade"),
    ("status", "Situação"),
    ("number", "Revisão"),
    ("revisionNumber", "Revisão"),
    ("revisionCount", "Total de revisões"),
    ("fileName", "Arquivo"),
    ("fileExtension", "Extensão"),
    ("contentType", "Tipo de conteúdo"),
    ("path", "Caminho no zip"),
    ("size", "Tamanho (bytes)"),
    ("storedSize", "Tamanho armazenado (bytes)"),
    ("compressedSize", "Tamanho comprimido (bytes)"),
    ("sha256", "SHA-256"),
    ("fileUrl", "Endereço do arquivo"),
    ("url", "Endereço"),
    ("announcedAt", "Anunciado em"),
    ("receivedAt", "Recebido em"),
    ("archivedAt", "Arquivado em"),
    ("supersededAt", "Substituído em"),
    ("purgedAt", "Removido em"),
    ("modifiedAt", "Modificado em"),
    ("held", "Protegido"),
    ("holdReason", "Motivo da proteção"),
    ("warnings", "Avisos"),
    ("score", "Relevância"),
    ("state", "Situação do período"),
    ("dueAt", "Esperado até"),
    ("arrivedLateBySeconds", "Atraso (segundos)"),
    ("source", "Origem"),
    ("attempts", "Tentativas"),
    ("nextAttemptAt", "Próxima tentativa em"),
    ("linkExpiresAt", "Link expira em"),
    ("error", "Erro"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{PORTUGUESE, portuguese};
    use crate::query::{CoverageRow, FileMember, Notification, PublicationRow, RevisionRow, TableRow};

    fn check<Row: TableRow>() {
        let names: Vec<&str> =
            Row::COLUMNS.iter().map(|column| portuguese(column.name).unwrap_or(column.name)).collect();
        let different: HashSet<&&str> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
        for column in Row::COLUMNS {
            assert!(portuguese(column.name).is_some(), "{} has no Portuguese name", column.name);
        }
    }

    #[test]
    fn every_column_has_a_portuguese_name_of_its_own() {
        check::<PublicationRow>();
        check::<RevisionRow>();
        check::<Notification>();
        check::<FileMember>();
        check::<CoverageRow>();
        let page = include_str!("../../docs/bi.md");
        for (column, name) in PORTUGUESE {
            assert!(page.contains(&format!("| `{column}` | {name} |")), "docs/bi.md has no line for {column}");
        }
    }
}
