//! Plots of what came and was archived, drawn here as SVG. Each has its numbers in a table too.
use maud::{Markup, html};

use super::section;
use crate::lang::{Lang, text};
use crate::query::Activity;
use crate::stage::{self, Stage};
use crate::web::{Visit, units};

/// The drawing, in units of its own.
const WIDTH: u32 = 600;
const HEIGHT: u32 = 120;
const GAP: u32 = 2;

/// A bar of a plot.
struct Bar {
    label: String,
    value: u64,
    shown: String,
}

pub fn plots(visit: &Visit, activity: &Activity) -> Markup {
    let lang = visit.lang;
    let bars = |value: fn(&crate::query::DayOfActivity) -> u64, shown: fn(Lang, u64) -> String| -> Vec<Bar> {
        let bar = |(day, of_day): &(jiff::civil::Date, crate::query::DayOfActivity)| Bar {
            label: units::day(lang, *day),
            value: value(of_day),
            shown: shown(lang, value(of_day)),
        };
        activity.days.iter().map(bar).collect()
    };
    let body = html! {
        div.charts {
            (plot(lang, &text!(lang, "plot-notifications"), &text!(lang, "column-day"), &bars(|day| day.notifications, units::number)))
            (plot(lang, &text!(lang, "plot-bytes"), &text!(lang, "column-day"), &bars(|day| day.bytes, units::size)))
            (plot(lang, &text!(lang, "plot-latency"), &text!(lang, "column-within"), &latencies(lang)))
        }
    };
    section("plots", &text!(lang, "plots-title"), &body)
}

/// How long after their arrival files could be found, since the start of this process.
fn latencies(lang: Lang) -> Vec<Bar> {
    // Shorter and longer ones are rare enough to share a bar.
    const FIRST: usize = 4;
    const LAST: usize = 15;
    let counts = Stage::Indexed.counts();
    let mut bars: Vec<Bar> = Vec::new();
    let mut before = 0;
    for (at, count) in counts.iter().enumerate() {
        match at {
            ..FIRST => before += count,
            FIRST..=LAST => {
                let value = count + std::mem::take(&mut before);
                let upper = stage::BUCKETS.get(at).copied().unwrap_or(f64::INFINITY);
                let label = format!("≤ {}", seconds(lang, upper));
                bars.push(Bar { label, value, shown: units::number(lang, value) });
            }
            _ => before += count,
        }
    }
    let upper = stage::BUCKETS.get(LAST).copied().unwrap_or_default();
    bars.push(Bar { label: format!("> {}", seconds(lang, upper)), value: before, shown: units::number(lang, before) });
    bars
}

fn seconds(lang: Lang, seconds: f64) -> String {
    let decimal = |text: String| if lang == Lang::Portuguese { text.replace('.', ",") } else { text };
    match seconds {
        ..1.0 => format!("{} ms", (seconds * 1000.0).round()),
        1.0..60.0 => decimal(format!("{seconds} s")),
        60.0..3600.0 => format!("{} min", seconds / 60.0),
        _ => format!("{} h", seconds / 3600.0),
    }
}

fn plot(lang: Lang, title: &str, dimension: &str, bars: &[Bar]) -> Markup {
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or_default();
    let highest = bars.iter().find(|bar| bar.value == most).map(|bar| bar.shown.clone()).unwrap_or_default();
    let slot = WIDTH / u32::try_from(bars.len().max(1)).unwrap_or(1);
    let height = |value: u64| -> u32 {
        let scaled = u128::from(value) * u128::from(HEIGHT) / u128::from(most.max(1));
        // What is not nothing is seen.
        u32::try_from(scaled).unwrap_or(HEIGHT).max(u32::from(value > 0))
    };
    let ends = bars.first().zip(bars.last());
    html! {
        figure.chart {
            figcaption { strong { (title) } " " span.soft { (text!(lang, "plot-most", value = highest)) } }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT + 1) } role="img" aria-label=(title) preserveAspectRatio="none" {
                line.axis x1="0" x2=(WIDTH) y1=(HEIGHT) y2=(HEIGHT) {}
                @for (at, bar) in (0u32..).zip(bars) {
                    @let tall = height(bar.value);
                    rect.bar x=(at * slot) y=(HEIGHT - tall) width=(slot.saturating_sub(GAP).max(1)) height=(tall) {
                        title { (bar.label) ": " (bar.shown) }
                    }
                }
            }
            @if let Some((first, last)) = ends { p.ends { span { (first.label) } span { (last.label) } } }
            details {
                summary { (text!(lang, "plot-numbers")) }
                div.scroll tabindex="0" role="region" aria-label=(title) { table {
                    thead { tr { th scope="col" { (dimension) } th.right scope="col" { (text!(lang, "column-value")) } } }
                    tbody { @for bar in bars { tr { th scope="row" { (bar.label) } td.right { (bar.shown) } } } }
                } }
            }
        }
    }
}
