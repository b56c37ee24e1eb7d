/// Text from outside as it is kept: control characters gone (PostgreSQL takes no NUL, terminals take escapes), trimmed.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// Characters that turn the reading direction (`exe` could look like `pdf`) or break the line.
pub fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
