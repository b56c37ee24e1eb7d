use async_graphql::{Context, Object, Result, SimpleObject};

use super::Asker;
use super::connection::int;
use super::error::{code, coded, internal};
use super::input::NotificationFilter;
use crate::app::App;
use crate::jobs;

pub struct MutationRoot;

/// What a retry did.
#[derive(SimpleObject)]
pub struct RetryResult {
    matched: i32,
    queued: i32,
    /// The link has expired: "Enviar" of that product on the portal is what helps.
    dead: i32,
}

/// For keys with the role operator or admin.
#[Object(name = "Mutation")]
impl MutationRoot {
    /// Queues notifications again, as far as their links live and their files are not there.
    async fn retry_notifications(&self, ctx: &Context<'_>, filter: NotificationFilter) -> Result<RetryResult> {
        if !ctx.data::<Asker>()?.may_operate {
            return Err(coded(
                code::FORBIDDEN,
                "this key is a reader's: a key with the role operator or admin is needed",
            ));
        }
        let which = NotificationFilter::read(Some(filter))?;
        let counts = jobs::retry(ctx.data::<App>()?, &which).await.map_err(|e| internal(&e))?;
        Ok(RetryResult { matched: int(counts.matched), queued: int(counts.queued), dead: int(counts.dead) })
    }
}
