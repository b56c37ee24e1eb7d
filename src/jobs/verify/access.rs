//! Whether the archive can be read at all. A folder that is not mounted, or that this user may not read, says nothing about its files.
use super::run::Pass;
use crate::app::App;
use crate::domain::Share;
use crate::engine::store::Access;

/// Why no file of the archive can be verified. Nothing was marked as damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inaccessible {
    #[error(
        "{archive} has no objects, and the database has {files} stored files: no file was marked as damaged. Mount the archive \
         there, or set archive_url (ACERVO_ARCHIVE_URL) to the place that has it. If its objects are lost, \
         `acervo verify --accept-empty --repair --from DIR|URL` takes them from a copy"
    )]
    Empty { archive: String, files: u64 },
    #[error(
        "permission denied: no object in {archive} can be opened, and no file was marked as damaged. Run this as the user \
         that owns it, or correct its permissions and those of what is in it"
    )]
    Denied { archive: String },
}

/// An error if the database has stored files and no object can be opened. `accepts_empty`: an archive without objects is verified, and all
/// of its files are missing.
pub(super) async fn require(app: &App, accepts_empty: bool) -> anyhow::Result<()> {
    let (files, _) = app.record.verify().count_files(Share::ALL.digests()).await?;
    if files == 0 {
        return Ok(());
    }
    let location = app.settings.archive();
    let archive =
        if location.folder().is_some() { format!("the archive folder {location}") } else { location.to_string() };
    match app.store.access().await? {
        Access::Granted => Ok(()),
        Access::Empty if accepts_empty => Ok(()),
        Access::Empty => Err(Inaccessible::Empty { archive, files }.into()),
        Access::Denied => Err(Inaccessible::Denied { archive }.into()),
    }
}

impl Pass<'_> {
    /// The same in the middle of a run, before files are marked: the folder may have been unmounted since the run began.
    pub async fn require_access(&self) -> anyhow::Result<()> {
        require(self.app, self.accepts_empty).await
    }
}
