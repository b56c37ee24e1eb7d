//! What may have changed between a retention plan and its marks.

/// Whether a plan's decision to remove a revision still applies. One that has become its publication's latest since the plan was
/// made stays: the plan judged it as superseded.
pub fn still_applies(was_latest: bool, is_latest: bool) -> bool {
    was_latest || !is_latest
}

#[cfg(test)]
mod tests {
    use super::still_applies;

    #[test]
    fn a_revision_that_became_the_latest_stays() {
        assert!(!still_applies(false, true));
        assert!(still_applies(true, true));
        assert!(still_applies(false, false));
        assert!(still_applies(true, false));
    }
}
