//! Pages: Relay's cursors, and offsets for tools that know only pages.
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::QueryError;
use crate::domain::excerpt;
use crate::engine::index::{Order, Relevance, SortValue};

/// Rows of one page at most.
pub const FIRST_MAX: i64 = 1000;

/// Rows of a page if the request does not say.
const FIRST_DEFAULT: usize = 100;

/// Which part of a list, as requested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Paging {
    pub first: Option<i64>,
    pub after: Option<String>,
    pub last: Option<i64>,
    pub before: Option<String>,
    pub offset: Option<i64>,
}

/// Which part of a list, checked.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub beyond: Option<Cursor>,
    pub backwards: bool,
    pub offset: usize,
    pub limit: usize,
}

impl Window {
    /// The number that the cursor stands for; an error if no cursor of the list has such a number.
    pub fn position<T: TryFrom<i64>>(&self) -> Result<Option<T>, QueryError> {
        let Some(cursor) = &self.beyond else { return Ok(None) };
        let number = match cursor.value {
            SortValue::Number(number) => T::try_from(number).ok(),
            SortValue::Text(_) | SortValue::Score(_) => None,
        };
        number.map(Some).ok_or_else(|| {
            QueryError::bad("the cursor is not one of this list; take it from `endCursor` or `startCursor`")
        })
    }
}

/// The position of a row in a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cursor {
    pub value: SortValue,
    pub tie: Uuid,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct ListPage<Row> {
    pub total: u64,
    /// With their cursors.
    pub rows: Vec<(String, Row)>,
    pub has_next: bool,
    pub has_previous: bool,
}

impl<Row> ListPage<Row> {
    /// Rows in the direction in which the window was read.
    pub(super) fn new(window: &Window, total: u64, mut rows: Vec<(String, Row)>, more: bool) -> Self {
        let skipped = window.beyond.is_some() || window.offset > 0;
        if window.backwards {
            rows.reverse();
        }
        let (has_next, has_previous) = if window.backwards { (skipped, more) } else { (more, skipped) };
        Self { total, rows, has_next, has_previous }
    }
}

impl<Row> ListPage<Row> {
    /// A page of an iterator's rows, in its order; a row's position is its cursor.
    pub fn of_iterator(rows: impl Iterator<Item = Row>, total: u64, paging: &Paging) -> Result<Self, QueryError> {
        const KIND: char = '#';
        let window = paging.window(KIND)?;
        let skipped = match window.position::<usize>()? {
            Some(position) => position.saturating_add(1),
            None => 0,
        };
        let mut page: Vec<(String, Row)> = Vec::new();
        for (position, row) in (0_i64..).zip(rows).skip(skipped).take(window.limit + 1) {
            let value = SortValue::Number(position);
            page.push((Cursor { value, tie: Uuid::nil() }.format(KIND), row));
        }
        let more = page.len() > window.limit;
        page.truncate(window.limit);
        Ok(Self::new(&window, total, page, more))
    }
}

impl Paging {
    pub fn first(first: i64) -> Self {
        Self { first: Some(first), ..Self::default() }
    }

    /// `kind` distinguishes the cursors of one order from another's.
    pub(super) fn window(&self, kind: char) -> Result<Window, QueryError> {
        let bound = |name: &str, value: i64| match usize::try_from(value) {
            Ok(n) if value <= FIRST_MAX => Ok(n),
            _ => Err(QueryError::bad(format!("`{name}` is {value}: it must be from 0 to {FIRST_MAX}"))),
        };
        if self.first.is_some() && self.last.is_some() {
            return Err(QueryError::bad("`first` and `last` are both given: give one of them"));
        }
        let backwards = self.last.is_some() || (self.before.is_some() && self.first.is_none());
        let (cursor, misplaced) = if backwards { (&self.before, &self.after) } else { (&self.after, &self.before) };
        if misplaced.is_some() {
            let message = if backwards {
                "`after` goes with `first`, not with `last` or `before`"
            } else {
                "`before` goes with `last`, not with `first`"
            };
            return Err(QueryError::bad(message));
        }
        let limit = match (self.first, self.last) {
            (Some(first), _) => bound("first", first)?,
            (None, Some(last)) => bound("last", last)?,
            (None, None) => FIRST_DEFAULT,
        };
        let offset = self.offset.unwrap_or_default();
        let offset = usize::try_from(offset)
            .map_err(|_| QueryError::bad(format!("`offset` is {offset}: it must be 0 or more")))?;
        let beyond = cursor.as_deref().map(|text| Cursor::parse(text, kind)).transpose()?;
        Ok(Window { beyond, backwards, offset, limit })
    }
}

/// The kind of an order's cursors.
pub(super) fn kind_of(order: Order) -> char {
    match order {
        Order::Period { descending: true } => 'p',
        Order::Period { descending: false } => 'P',
        Order::PeriodEnd { descending: true } => 'e',
        Order::PeriodEnd { descending: false } => 'E',
        Order::Archived { descending: true } => 'a',
        Order::Archived { descending: false } => 'A',
        Order::Received { descending: true } => 'r',
        Order::Received { descending: false } => 'R',
        Order::Size { descending: true } => 's',
        Order::Size { descending: false } => 'S',
        Order::Name => 'n',
        Order::Relevance => 'v',
    }
}

impl Cursor {
    /// Opaque to the caller: the kind, the id, the value.
    pub fn format(&self, kind: char) -> String {
        let value = match &self.value {
            SortValue::Number(number) => format!("i{number}"),
            SortValue::Text(text) => format!("t{text}"),
            SortValue::Score(relevance) => format!("s{}.{}", relevance.score.to_bits(), relevance.hour),
        };
        URL_SAFE_NO_PAD.encode(format!("{kind}{}{value}", self.tie.simple()))
    }

    pub fn parse(text: &str, kind: char) -> Result<Self, QueryError> {
        let broken = || {
            let cursor = excerpt(text);
            QueryError::bad(format!(
                "the cursor `{cursor}` is not a cursor of this list in this order; take it from `endCursor` or `startCursor` of the page before"
            ))
        };
        let decoded =
            URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(broken)?;
        let rest = decoded.strip_prefix(kind).ok_or_else(broken)?;
        let (id, value) = rest.split_at_checked(32).ok_or_else(broken)?;
        let mut chars = value.chars();
        let value = match (chars.next(), chars.as_str(), kind) {
            (Some('t'), text, 'n' | 'k') => SortValue::Text(text.to_owned()),
            (Some('s'), parts, 'v') => {
                let (bits, hour) = parts.split_once('.').ok_or_else(broken)?;
                let score = f32::from_bits(bits.parse().map_err(|_| broken())?);
                SortValue::Score(Relevance { score, hour: hour.parse().map_err(|_| broken())? })
            }
            (Some('i'), number, kind) if kind != 'n' && kind != 'v' && kind != 'k' => {
                SortValue::Number(number.parse().map_err(|_| broken())?)
            }
            _ => return Err(broken()),
        };
        Ok(Self { value, tie: Uuid::try_parse(id).map_err(|_| broken())? })
    }
}
