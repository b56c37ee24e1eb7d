//! Requests that wait: `changes` with `wait` is answered when a change matches. The wait is over before the request is admitted
//! and executed, so it takes no slot of the queries and no memory but that of the request as it was sent.
use std::time::Duration;

use async_graphql::parser::types::{Field, OperationDefinition, OperationType, Selection};
use async_graphql::{InputType, Result, ServerError};
use async_graphql_value::ConstValue;

use super::error::{bad, code, request_error};
use crate::contract::PublicationFilter;
use crate::query::{ChangesRequest, FeedPosition};

/// The longest wait, in seconds: less than the time-outs of usual clients and proxies.
const WAIT_MAX: i32 = 60;

/// Bytes of a request that waits, with its variables.
pub(super) const REQUEST_BYTES_MAX: usize = 16 << 10;

/// A wait that an operation asks for.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub longest: Duration,
    pub request: ChangesRequest,
}

/// Where the wait for a request's changes has ended.
#[derive(Clone, Copy)]
pub(super) struct Waited(pub FeedPosition);

/// The seconds of `wait`, checked.
pub(super) fn seconds(wait: Option<i32>) -> Result<u64> {
    let seconds = wait.unwrap_or_default();
    u64::try_from(seconds)
        .ok()
        .filter(|_| seconds <= WAIT_MAX)
        .ok_or_else(|| bad(format!("`wait` is {seconds}: it must be from 0 to {WAIT_MAX} seconds")))
}

/// The wait of an operation in its normal form. An argument that is out of bounds is left to the execution, which reports it.
pub(super) fn wait_of(operation: &OperationDefinition) -> Result<Option<Wait>, ServerError> {
    if operation.ty != OperationType::Query {
        return Ok(None);
    }
    let fields = operation.selection_set.node.items.iter().filter_map(|selection| match &selection.node {
        Selection::Field(field) if field.node.name.node == "changes" => Some(field),
        Selection::Field(_) | Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
    });
    let mut waiting = fields.filter_map(|field| Some((field.pos, wait_of_field(&field.node)?)));
    let first = waiting.next();
    match waiting.next() {
        Some((pos, _)) => Err(request_error(
            code::BAD_USER_INPUT,
            "`changes` is selected twice with `wait`: a request can wait for one of them; send one request for each",
            Some(pos),
        )),
        None => Ok(first.map(|(_, wait)| wait)),
    }
}

fn wait_of_field(field: &Field) -> Option<Wait> {
    let seconds = seconds(argument(field, "wait")?).ok().filter(|seconds| *seconds > 0)?;
    let filter = PublicationFilter::read(argument(field, "filter")?).ok()?;
    let request = ChangesRequest { after: argument(field, "after")?, filter, ..ChangesRequest::default() };
    Some(Wait { longest: Duration::from_secs(seconds), request })
}

/// An argument's value; the outer `None` if it is not of its type.
fn argument<T: InputType>(field: &Field, name: &str) -> Option<Option<T>> {
    let Some(value) = field.get_argument(name) else { return Some(None) };
    let value: ConstValue = value.node.clone().into_const()?;
    Option::<T>::parse(Some(value)).ok()
}
