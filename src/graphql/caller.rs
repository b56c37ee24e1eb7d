//! The caller of a request, and what the role allows.
use async_graphql::{Context, Result};

use super::error::{code, coded};

/// The caller of a request, as far as the resolvers need to know.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    pub may_operate: bool,
    pub may_administer: bool,
    /// Name of the key, which a hold is recorded with.
    pub name: String,
}

/// The caller; an error unless it is an operator.
pub(super) fn operator<'a>(ctx: &Context<'a>) -> Result<&'a Caller> {
    let caller = ctx.data::<Caller>()?;
    if caller.may_operate {
        return Ok(caller);
    }
    Err(coded(code::FORBIDDEN, "this key is a reader's: a key with the role operator or admin is needed"))
}

/// The caller; an error unless it is an administrator.
pub(super) fn admin<'a>(ctx: &Context<'a>) -> Result<&'a Caller> {
    let caller = ctx.data::<Caller>()?;
    if caller.may_administer {
        return Ok(caller);
    }
    Err(coded(code::FORBIDDEN, "a key with the role admin is needed"))
}
