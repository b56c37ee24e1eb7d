//! The words for states, as badges, and what they mean.
use maud::{Markup, html};

use crate::domain::{NotificationStatus, PublicationStatus};
use crate::lang::{Lang, text};
use crate::query::CoverageState;

/// A word, and what it means.
pub trait State: Copy + PartialEq {
    fn word(self, lang: Lang) -> String;
    fn meaning(self, lang: Lang) -> String;
    /// The badge's kind; none is a word without colour.
    fn kind(self) -> Option<&'static str>;

    fn badge(self, lang: Lang) -> Markup {
        html! { span.badge data-status=[self.kind()] { (self.word(lang)) } }
    }
}

impl State for CoverageState {
    fn word(self, lang: Lang) -> String {
        match self {
            Self::Archived => text!(lang, "state-archived"),
            Self::Late => text!(lang, "state-late"),
            Self::Awaited => text!(lang, "state-awaited"),
            Self::Missing => text!(lang, "state-missing"),
            Self::Lost => text!(lang, "state-lost"),
            Self::Purged => text!(lang, "state-purged"),
        }
    }

    fn meaning(self, lang: Lang) -> String {
        match self {
            Self::Archived => text!(lang, "means-archived"),
            Self::Late => text!(lang, "means-late"),
            Self::Awaited => text!(lang, "means-awaited"),
            Self::Missing => text!(lang, "means-missing"),
            Self::Lost => text!(lang, "means-lost"),
            Self::Purged => text!(lang, "means-purged"),
        }
    }

    fn kind(self) -> Option<&'static str> {
        Some(match self {
            Self::Archived => "archived",
            Self::Late => "late",
            Self::Awaited => "awaited",
            Self::Missing => "missing",
            Self::Lost => "lost",
            Self::Purged => "purged",
        })
    }
}

/// The state of a publication is one of its period.
fn of_period(status: PublicationStatus) -> CoverageState {
    match status {
        PublicationStatus::Awaited => CoverageState::Awaited,
        PublicationStatus::Archived => CoverageState::Archived,
        PublicationStatus::Lost => CoverageState::Lost,
        PublicationStatus::Purged => CoverageState::Purged,
    }
}

impl State for PublicationStatus {
    fn word(self, lang: Lang) -> String {
        of_period(self).word(lang)
    }

    fn meaning(self, lang: Lang) -> String {
        of_period(self).meaning(lang)
    }

    fn kind(self) -> Option<&'static str> {
        of_period(self).kind()
    }
}

impl State for NotificationStatus {
    fn word(self, lang: Lang) -> String {
        match self {
            Self::Queued => text!(lang, "notification-queued"),
            Self::Fetching => text!(lang, "notification-fetching"),
            Self::Retrying => text!(lang, "notification-retrying"),
            Self::Archived => text!(lang, "notification-archived"),
            Self::Unchanged => text!(lang, "notification-unchanged"),
            Self::Expired => text!(lang, "notification-expired"),
            Self::Failed => text!(lang, "notification-failed"),
            Self::Rejected => text!(lang, "notification-rejected"),
        }
    }

    fn meaning(self, lang: Lang) -> String {
        match self {
            Self::Queued => text!(lang, "means-queued"),
            Self::Fetching => text!(lang, "means-fetching"),
            Self::Retrying => text!(lang, "means-retrying"),
            Self::Archived => text!(lang, "means-archived"),
            Self::Unchanged => text!(lang, "means-unchanged"),
            Self::Expired => text!(lang, "means-expired"),
            Self::Failed => text!(lang, "means-failed"),
            Self::Rejected => text!(lang, "means-rejected"),
        }
    }

    fn kind(self) -> Option<&'static str> {
        None
    }
}

/// What the states that a view shows mean, to unfold; each once, in the order given.
pub fn explained<S: State>(lang: Lang, states: impl IntoIterator<Item = S>) -> Markup {
    let mut shown: Vec<S> = Vec::new();
    for state in states {
        if !shown.contains(&state) {
            shown.push(state);
        }
    }
    html! {
        @if !shown.is_empty() {
            details.states {
                summary { (text!(lang, "states-help")) }
                dl {
                    @for state in shown { div { dt { (state.badge(lang)) } dd { (state.meaning(lang)) } } }
                }
            }
        }
    }
}
