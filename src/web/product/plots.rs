//! Plots of a product, drawn by the server.
use std::fmt::Write;

use maud::{Markup, html};

use crate::lang::{Lang, text};
use crate::query::{PublicationRow, StatsRow};
use crate::web::units;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 140.0;
const LEFT: f64 = 4.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 20.0;

/// `rows` are the newest publications, the newest first.
pub fn plots(lang: Lang, rows: &[&PublicationRow], months: &[StatsRow]) -> Markup {
    let with_file = rows.iter().any(|row| row.revision.is_some());
    html! {
        @if with_file {
            section.plots aria-labelledby="plots" {
                h2 #plots { (text!(lang, "plots")) }
                div.grid {
                    (sizes(lang, rows))
                    (arrivals(lang, rows))
                    (stored(lang, months))
                }
            }
        }
    }
}

/// `note` stands below, where the drawing does not say it all.
fn frame(title: &str, said: &str, drawing: &Markup, note: Option<&str>) -> Markup {
    html! {
        figure.plot {
            figcaption { (title) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(said) { (drawing) }
            @if let Some(note) = note { p.note { (note) } }
        }
    }
}

/// A share of the height, from the base line up.
fn level(value: u64, max: u64) -> f64 {
    (value as f64 / max.max(1) as f64) * (HEIGHT - TOP - BOTTOM)
}

/// The size of each publication, the oldest first.
fn sizes(lang: Lang, rows: &[&PublicationRow]) -> Markup {
    let sized: Vec<_> = rows.iter().rev().filter_map(|row| Some((row, row.revision.as_ref()?.file.size))).collect();
    let max = sized.iter().map(|(_, size)| *size).max().unwrap_or_default();
    let step = (WIDTH - LEFT) / sized.len().max(1) as f64;
    let ends = (sized.first(), sized.last());
    let said = text!(lang, "plot-sizes-said", count = sized.len(), max = units::size(lang, max));
    let drawing = html! {
        text.label x=(LEFT) y="12" { (units::size(lang, max)) }
        line.grid-line x1=(LEFT) x2=(WIDTH) y1=(TOP) y2=(TOP) {}
        @for (at, (row, size)) in sized.iter().enumerate() {
            @let height = level(*size, max).max(1.0);
            rect.bar x={ (format!("{:.1}", LEFT + at as f64 * step)) } y={ (format!("{:.1}", HEIGHT - BOTTOM - height)) }
                width={ (format!("{:.1}", (step * 0.85).clamp(0.8, 24.0))) } height={ (format!("{height:.1}")) } {
                title { (units::period(lang, row.publication.period)) ": " (units::size(lang, *size)) }
            }
        }
        @if let (Some((first, _)), Some((last, _))) = ends {
            text.label x=(LEFT) y=(HEIGHT - 5.0) { (units::period(lang, first.publication.period)) }
            @if sized.len() > 1 {
                text.label.end x=(WIDTH) y=(HEIGHT - 5.0) { (units::period(lang, last.publication.period)) }
            }
        }
    };
    frame(&text!(lang, "plot-sizes"), &said, &drawing, None)
}

/// How many files arrived at each hour of each day of the week.
fn arrivals(lang: Lang, rows: &[&PublicationRow]) -> Markup {
    let mut counts = [[0_u32; 24]; 7];
    for row in rows.iter().filter(|row| row.revision.is_some()) {
        let at = units::local(row.received_at());
        let weekday = usize::from(at.weekday().to_monday_zero_offset().unsigned_abs());
        counts[weekday % 7][usize::from(at.hour().unsigned_abs()) % 24] += 1;
    }
    let most = counts.iter().flatten().copied().max().unwrap_or_default();
    let at = counts.iter().enumerate().flat_map(|(day, hours)| {
        hours.iter().enumerate().map(move |(hour, count)| (day, hour, *count)).filter(|(.., count)| *count > 0)
    });
    let busiest = at.clone().max_by_key(|(.., count)| *count);
    let said = busiest.map_or_else(String::new, |(day, hour, _)| {
        text!(lang, "plot-arrivals-said", day = units::weekday_name(lang, day), hour = hour)
    });
    let (column, line, left) = ((WIDTH - 40.0) / 24.0, (HEIGHT - BOTTOM) / 7.0, 40.0);
    let drawing = html! {
        @for day in 0..7 {
            text.label x="0" y={ (format!("{:.1}", line * (day as f64 + 0.7))) } { (units::weekday_name(lang, day)) }
        }
        @for hour in [0, 6, 12, 18, 23] {
            text.label.middle x={ (format!("{:.1}", left + column * (hour as f64 + 0.5))) } y=(HEIGHT - 5.0) { (hour) " h" }
        }
        @for (day, hour, count) in at {
            circle.bar cx={ (format!("{:.1}", left + column * (hour as f64 + 0.5))) } cy={ (format!("{:.1}", line * (day as f64 + 0.5))) }
                r={ (format!("{:.1}", 2.0 + 7.0 * (f64::from(count) / f64::from(most.max(1))).sqrt())) } {
                title { (units::weekday_name(lang, day)) ", " (hour) " h: " (count) }
            }
        }
    };
    frame(&text!(lang, "plot-arrivals"), &said, &drawing, Some(&said))
}

/// Bytes as published and as stored, summed over the months of archiving.
fn stored(lang: Lang, months: &[StatsRow]) -> Markup {
    let mut sums = (0, 0);
    let points = months.iter().filter(|row| row.bucket.is_some()).map(|row| {
        sums = (sums.0 + row.sums.size, sums.1 + row.sums.stored_size);
        (row.bucket.clone().unwrap_or_default(), sums.0, sums.1)
    });
    let points: Vec<(String, u64, u64)> = points.collect();
    let (published, stored) = sums;
    let step = (WIDTH - LEFT) / (points.len().max(2) - 1) as f64;
    let line = |of: fn(&(String, u64, u64)) -> u64| {
        let mut path = String::new();
        // A single month is a level line.
        let level_line = points.iter().chain(points.first().filter(|_| points.len() == 1));
        for (at, point) in level_line.enumerate() {
            let y = HEIGHT - BOTTOM - level(of(point), published.max(stored));
            // Writing to a string cannot fail.
            let _ = write!(path, "{}{:.1} {y:.1}", if at == 0 { 'M' } else { 'L' }, LEFT + at as f64 * step);
        }
        path
    };
    let said =
        text!(lang, "plot-stored-said", published = units::size(lang, published), stored = units::size(lang, stored));
    let drawing = html! {
        path.line-published d=(line(|point| point.1)) {}
        path.line-stored d=(line(|point| point.2)) {}
        @if let (Some(first), Some(last)) = (points.first(), points.last()) {
            text.label x=(LEFT) y=(HEIGHT - 5.0) { (first.0) }
            @if points.len() > 1 { text.label.end x=(WIDTH) y=(HEIGHT - 5.0) { (last.0) } }
        }
    };
    frame(&text!(lang, "plot-stored"), &said, &drawing, Some(&said))
}
