//! What hooks tell about.
use std::fmt;

use serde_json::{Value, json};

use super::state::states;

states! {
    /// The kind of an event that a hook sends.
    HookEvent {
        /// A publication has a new revision, whose file can be read.
        Archived = "archived",
        /// The last link to a publication's file has expired, and the archive has no file of it.
        Lost = "lost",
        /// A period that a product's history makes expected is overdue.
        Late = "late",
        /// A source has sent nothing for longer than its history makes likely.
        Silent = "silent",
        /// A replay has ended, and none of its notifications waits for its file.
        BurstEnded = "burst_ended",
    }
}

states! {
    /// What became of an attempt to deliver an event.
    DeliveryOutcome {
        Delivered = "delivered",
        /// Another attempt follows.
        Failed = "failed",
        /// The last attempt: the event became a dead letter, or stays one.
        Dead = "dead",
    }
}

impl HookEvent {
    /// The data of an event of this kind as it may be sent: templates are checked with it, and tests send it.
    pub fn sample(self) -> Value {
        let mut data = match self {
            Self::Archived | Self::Lost => json!({
                "publicationId": "019aa1b2-0000-7000-8000-000000000001",
                "productId": "019aa1b2-0000-7000-8000-000000000002",
                "name": "Deck e Resultados DECOMP - Valor Esperado",
                "process": "Programação da Operação",
                "macroProcess": "Programação da Operação",
                "referenceDate": "06/09/2025 - 12/09/2025",
                "periodStart": "2025-09-06T00:00:00",
                "periodEnd": "2025-09-12T23:59:59",
                "granularity": "WEEK",
            }),
            Self::Late => json!({
                "productId": "019aa1b2-0000-7000-8000-000000000002",
                "name": "Deck e Resultados DECOMP - Valor Esperado",
                "process": "Programação da Operação",
                "macroProcess": "Programação da Operação",
                "granularity": "WEEK",
                "periodStart": "2025-09-06T00:00:00",
                "periodEnd": "2025-09-12T23:59:59",
                "dueAt": "2025-09-05T15:00:00.000Z",
            }),
            Self::Silent => {
                json!({ "source": "default", "lastNotificationAt": "2025-09-05T11:58:20.000Z", "denied": 0 })
            }
            Self::BurstEnded => json!({
                "replayId": "019aa1b2-0000-7000-8000-000000000004",
                "source": "default",
                "startedAt": "2025-09-05T11:40:00.000Z",
                "endedAt": "2025-09-05T11:58:20.000Z",
                "announced": 240,
                "known": 236,
                "unchanged": 235,
                "newRevisions": 5,
                "failed": 0,
                "bytesAdded": 41_943_040,
            }),
        };
        if let (Self::Archived, Value::Object(data)) = (self, &mut data) {
            data.extend(sample_of_revision());
        }
        data
    }
}

fn sample_of_revision() -> serde_json::Map<String, Value> {
    let fields = [
        ("revisionId", json!("019aa1b2-0000-7000-8000-000000000003")),
        ("revisionNumber", json!(1)),
        ("fileName", json!("DEC_ONS_092025_RV1_VE.zip")),
        ("fileExtension", json!("zip")),
        ("contentType", json!("application/zip")),
        ("size", json!(1_843_200)),
        ("sha256", json!("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")),
        ("fileUrl", json!("https://acervo.example.com/files/019aa1b2-0000-7000-8000-000000000003")),
        ("announcedAt", json!("2025-09-04T18:12:03.000Z")),
        ("receivedAt", json!("2025-09-04T18:12:04.120Z")),
        ("archivedAt", json!("2025-09-04T18:12:06.480Z")),
        ("warnings", json!([])),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
