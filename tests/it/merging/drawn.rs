//! Random documents, generated from bytes, with the result that the specification requires.
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// A type of the schema: its fields, each with its type if that has fields too.
pub struct Kind {
    pub name: &'static str,
    pub fields: Vec<(&'static str, Option<usize>)>,
}

/// Types by number; the first is the root.
pub struct Types(pub Vec<Kind>);

/// The lists that are queried, with their arguments.
const LISTS: [(&str, &str); 5] = [
    ("publications", "(first: 3)"),
    ("revisions", "(first: 3)"),
    ("notifications", "(last: 3)"),
    ("products", "(first: 3)"),
    ("publicationStats", "(groupBy: [PRODUCT, STATUS, PERIOD_MONTH])"),
];

impl Types {
    /// Of the schema; the columns are those of its rows.
    pub fn new(columns: [Vec<&'static str>; 4]) -> Self {
        let mut all: Vec<Kind> = Vec::new();
        let mut add = |name: &'static str, fields: Vec<(&'static str, Option<usize>)>| {
            all.push(Kind { name, fields });
            all.len() - 1
        };
        add("Query", Vec::new());
        let leaves = |names: &[&'static str]| names.iter().map(|name| (*name, None)).collect::<Vec<_>>();
        let product = add("Product", leaves(&["id", "name", "process", "publicationCount", "lastPeriodEnd"]));
        let page = add("PageInfo", leaves(&["hasNextPage", "hasPreviousPage", "startCursor", "endCursor"]));
        let [publications, revisions, notifications, stats] = columns;
        let mut publication = leaves(&publications);
        publication.push(("product", Some(product)));
        let publication = add("Publication", publication);
        let mut revision = leaves(&revisions);
        revision.push(("publication", Some(publication)));
        let revision = add("Revision", revision);
        let mut notification = leaves(&notifications);
        notification.push(("revision", Some(revision)));
        let notification = add("Notification", notification);
        let mut roots = Vec::new();
        for (list, node, edge, connection) in [
            ("publications", publication, "PublicationEdge", "PublicationConnection"),
            ("revisions", revision, "RevisionEdge", "RevisionConnection"),
            ("notifications", notification, "NotificationEdge", "NotificationConnection"),
            ("products", product, "ProductEdge", "ProductConnection"),
        ] {
            let edge = add(edge, vec![("cursor", None), ("node", Some(node))]);
            let fields =
                vec![("totalCount", None), ("nodes", Some(node)), ("edges", Some(edge)), ("pageInfo", Some(page))];
            roots.push((list, Some(add(connection, fields))));
        }
        roots.push(("publicationStats", Some(add("StatsRow", leaves(&stats)))));
        all[0].fields = roots;
        Self(all)
    }

    /// A document that selects everything that others can select, with nothing to merge.
    pub fn everything(&self) -> String {
        self.selection(0)
    }

    fn selection(&self, kind: usize) -> String {
        let field = |(name, inner): &(&str, Option<usize>)| {
            let inner = inner.map(|inner| self.selection(inner)).unwrap_or_default();
            format!("{name}{} {inner}", arguments(kind, name))
        };
        let fields: Vec<String> = self.0[kind].fields.iter().map(field).collect();
        format!("{{ __typename {} }}", fields.join(" "))
    }
}

fn arguments(kind: usize, name: &str) -> &'static str {
    LISTS.iter().find(|(list, _)| kind == 0 && *list == name).map_or("", |(_, arguments)| arguments)
}

/// A condition of a selection, and whether it leaves the selection in.
#[derive(Clone, Copy)]
struct Condition(&'static str, bool);

const CONDITIONS: [Condition; 10] = [
    Condition(" @skip(if: true)", false),
    Condition(" @skip(if: false)", true),
    Condition(" @include(if: $yes)", true),
    Condition(" @include(if: $no)", false),
    Condition(" @skip(if: $no)", true),
    Condition(" @skip(if: $preset)", false),
    Condition(" @include(if: $preset)", true),
    Condition(" @include(if: true) @skip(if: $no)", true),
    Condition(" @skip(if: $no) @include(if: $no)", false),
    Condition(" @skip(if: $yes) @include(if: true)", false),
];

enum Item {
    Field { name: &'static str, alias: Option<String>, condition: Condition, inner: Option<usize>, set: Vec<Item> },
    Inline { typed: bool, condition: Condition, set: Vec<Item> },
    Spread { fragment: usize, condition: Condition },
}

struct Fragment {
    kind: usize,
    set: Vec<Item>,
}

/// A document.
pub struct Drawn<'a> {
    types: &'a Types,
    fragments: Vec<Fragment>,
    set: Vec<Item>,
}

struct Draw<'a, 'b> {
    types: &'a Types,
    bytes: std::slice::Iter<'b, u8>,
    fragments: Vec<Fragment>,
}

impl Draw<'_, '_> {
    /// A number below a bound.
    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.bytes.next().copied().unwrap_or_default()) % bound
    }

    fn condition(&mut self) -> Condition {
        match self.below(3) {
            1 => CONDITIONS[self.below(CONDITIONS.len())],
            _ => Condition("", true),
        }
    }

    fn set(&mut self, kind: usize, depth: usize) -> Vec<Item> {
        (0..1 + self.below(4)).map(|_| self.item(kind, depth)).collect()
    }

    fn item(&mut self, kind: usize, depth: usize) -> Item {
        let choice = if depth > 5 { 0 } else { self.below(8) };
        let condition = self.condition();
        match choice {
            6 => Item::Inline { typed: self.below(2) == 0, condition, set: self.set(kind, depth + 1) },
            7 => Item::Spread { fragment: self.fragment(kind, depth), condition },
            _ => self.field(kind, condition, depth),
        }
    }

    fn field(&mut self, kind: usize, condition: Condition, depth: usize) -> Item {
        let fields = &self.types.0[kind].fields;
        let at = self.below(fields.len() + 1);
        let (name, inner) = fields.get(at).copied().unwrap_or(("__typename", None));
        // Equal names always have equal values, so any two can be merged.
        let alias = match self.below(4) {
            3 => Some(format!("{}_{name}", ["x", "outro"][self.below(2)]).replace("___", "_")),
            _ => None,
        };
        let set = inner.map(|inner| self.set(inner, depth + 1)).unwrap_or_default();
        Item::Field { name, alias, condition, inner, set }
    }

    /// One that is there already, or another.
    fn fragment(&mut self, kind: usize, depth: usize) -> usize {
        let known: Vec<usize> = (0..self.fragments.len()).filter(|i| self.fragments[*i].kind == kind).collect();
        if !known.is_empty() && self.below(2) == 0 {
            return known[self.below(known.len())];
        }
        let set = self.set(kind, depth + 1);
        self.fragments.push(Fragment { kind, set });
        self.fragments.len() - 1
    }
}

impl<'a> Drawn<'a> {
    pub fn new(types: &'a Types, bytes: &[u8]) -> Self {
        let mut draw = Draw { types, bytes: bytes.iter(), fragments: Vec::new() };
        let set = draw.set(0, 0);
        Self { types, fragments: draw.fragments, set }
    }

    pub fn text(&self) -> String {
        let mut body = format!("{{{} }}", self.written(&self.set, 0));
        for (i, fragment) in self.fragments.iter().enumerate() {
            let name = self.types.0[fragment.kind].name;
            body.push_str(&format!(" fragment F{i} on {name} {{{} }}", self.written(&fragment.set, fragment.kind)));
        }
        let declared = [("$yes", "Boolean!"), ("$no", "Boolean!"), ("$preset", "Boolean! = true")];
        let declared: Vec<String> =
            declared.iter().filter(|(name, _)| body.contains(name)).map(|(name, ty)| format!("{name}: {ty}")).collect();
        if declared.is_empty() { body } else { format!("query Tela({}) {body}", declared.join(", ")) }
    }

    pub fn variables(&self) -> Value {
        json!({ "yes": true, "no": false })
    }

    fn written(&self, set: &[Item], kind: usize) -> String {
        let item = |item: &Item| match item {
            Item::Field { name, alias, condition, inner, set } => {
                let alias = alias.as_ref().map(|alias| format!("{alias}: ")).unwrap_or_default();
                let inner = inner.map(|inner| format!(" {{{} }}", self.written(set, inner))).unwrap_or_default();
                format!(" {alias}{name}{}{}{inner}", arguments(kind, name), condition.0)
            }
            Item::Inline { typed, condition, set } => {
                let on = if *typed { format!(" on {}", self.types.0[kind].name) } else { String::new() };
                format!(" ...{on}{} {{{} }}", condition.0, self.written(set, kind))
            }
            Item::Spread { fragment, condition } => format!(" ...F{fragment}{}", condition.0),
        };
        set.iter().map(item).collect()
    }

    /// What it answers; `data` is the answer to [`Types::everything`].
    pub fn answer(&self, data: &Value) -> Value {
        self.object(&[&self.set], data)
    }

    fn object(&self, sets: &[&[Item]], data: &Value) -> Value {
        match data {
            Value::Null => Value::Null,
            Value::Array(all) => all.iter().map(|one| self.object(sets, one)).collect(),
            _ => {
                let mut fields: Vec<Collected<'_>> = Vec::new();
                let mut visited = BTreeSet::new();
                for set in sets {
                    self.collect(set, &mut fields, &mut visited);
                }
                let mut object = Map::new();
                for (key, name, is_leaf, sets) in fields {
                    let value = if is_leaf { data[name].clone() } else { self.object(&sets, &data[name]) };
                    object.insert(key, value);
                }
                Value::Object(object)
            }
        }
    }

    fn collect<'i>(&'i self, set: &'i [Item], fields: &mut Vec<Collected<'i>>, visited: &mut BTreeSet<usize>) {
        for item in set {
            match item {
                Item::Field { condition: Condition(_, false), .. }
                | Item::Inline { condition: Condition(_, false), .. }
                | Item::Spread { condition: Condition(_, false), .. } => {}
                Item::Field { name, alias, inner, set, .. } => {
                    let key = alias.clone().unwrap_or_else(|| (*name).to_owned());
                    match fields.iter_mut().find(|(known, ..)| *known == key) {
                        Some((.., sets)) => sets.push(set),
                        None => fields.push((key, name, inner.is_none(), vec![set])),
                    }
                }
                Item::Inline { set, .. } => self.collect(set, fields, visited),
                Item::Spread { fragment, .. } => {
                    if visited.insert(*fragment) {
                        self.collect(&self.fragments[*fragment].set, fields, visited);
                    }
                }
            }
        }
    }
}

/// A field of a response: its key, its name, whether it is a leaf, and its selections.
type Collected<'a> = (String, &'static str, bool, Vec<&'a [Item]>);
