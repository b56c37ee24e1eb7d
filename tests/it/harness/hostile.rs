//! GraphQL documents of an attacker.

/// Each with its description.
pub fn documents() -> Vec<(&'static str, String)> {
    let repeat = |text: &str, n: usize| text.repeat(n);
    let aliases: String = (0..1000).map(|i| format!("a{i}: status {{ version }} ")).collect();
    vec![
        ("deep", format!("{{ {} id {} }}", repeat("publications { nodes { product {", 30), repeat("} } }", 30))),
        ("very deep", format!("{}{}", repeat("{ a ", 20_000), repeat("}", 20_000))),
        ("aliases", format!("{{ {aliases} }}")),
        ("fields", format!("{{ status {{ {} }} }}", repeat("version ", 10_000))),
        ("circular fragments", "query { ...a } fragment a on Query { ...b } fragment b on Query { ...a }".to_owned()),
        ("directives", format!("{{ status {} {{ version }} }}", repeat("@include(if: true) ", 500))),
        ("a large document", format!("{{ status {{ version }} }} # {}", repeat("x", 1 << 20))),
        ("a large text", format!("{{ publications(search: \"{}\") {{ totalCount }} }}", repeat("x ", 100_000))),
        ("a text", format!("{{ publications(search: \"{}\") {{ totalCount }} }}", repeat("x ", 48_000))),
        (
            "pages in pages",
            "{ publications(first: 1000) { nodes { revisions { members(first: 1000) { nodes { path } } } } } }"
                .to_owned(),
        ),
        (
            "pages in products",
            "{ products(first: 1000) { nodes { publications(first: 1000) { nodes { id } } } } }".to_owned(),
        ),
        ("too many rows", "{ publications(first: 1001) { totalCount } }".to_owned()),
        ("unended", "{ publications(search: \"".to_owned()),
        (
            "lists in lists",
            format!("{{ publications(filter: {}1{}) {{ totalCount }} }}", repeat("[", 5000), repeat("]", 5000)),
        ),
    ]
}
