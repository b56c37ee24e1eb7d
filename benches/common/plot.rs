//! Line plots as SVG, for the documents.
use std::fmt::Write as _;

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 400.0;
/// The area of the lines. Their names are on its right.
const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - 230.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = HEIGHT - 50.0;

const COLORS: &[&str] = &["#0b62a4", "#d95f02", "#1b9e77", "#7b3294", "#8c6d1f", "#555555"];

pub struct Plot<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    /// Whether both axes are logarithmic.
    pub is_log: bool,
    pub lines: Vec<(&'a str, Vec<(f64, f64)>)>,
}

struct Axis {
    is_log: bool,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    fn new(is_log: bool, values: impl Iterator<Item = f64> + Clone) -> Self {
        let (least, most) = (values.clone().fold(f64::MAX, f64::min), values.fold(0.0, f64::max));
        let ticks: Vec<f64> = if is_log {
            // 1, 2 and 5 times the powers of ten, from the last one below to the first one above.
            let all: Vec<f64> = (-4..8).flat_map(|power| [1.0, 2.0, 5.0].map(|n| n * 10f64.powi(power))).collect();
            let from = all.iter().rposition(|&tick| tick <= least).unwrap_or(0);
            let to = all.iter().position(|&tick| tick >= most).unwrap_or(all.len() - 1);
            all[from..=to].to_vec()
        } else {
            let power = 10f64.powf((most / 4.0).log10().floor());
            let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| most / step <= 6.0);
            let step = step.unwrap_or(most);
            (0..=(most / step).ceil() as u32).map(|n| f64::from(n) * step).collect()
        };
        Self { is_log, low: ticks[0], high: ticks[ticks.len() - 1], ticks }
    }

    /// Where a value is, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let scale = |n: f64| if self.is_log { n.ln() } else { n };
        (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))
    }
}

impl Plot<'_> {
    pub fn write(&self, file: &std::path::Path) {
        let points = || self.lines.iter().flat_map(|(_, points)| points.iter());
        let (mut x_axis, y_axis) =
            (Axis::new(self.is_log, points().map(|p| p.0)), Axis::new(self.is_log, points().map(|p| p.1)));
        if self.is_log {
            // Few points: each has its tick.
            x_axis.ticks = self.lines.iter().flat_map(|(_, points)| points).map(|p| p.0).collect();
            x_axis.ticks.sort_by(f64::total_cmp);
            x_axis.ticks.dedup();
        }
        let x_of = |x: f64| LEFT + x_axis.share(x) * (RIGHT - LEFT);
        let y_of = |y: f64| BOTTOM - y_axis.share(y) * (BOTTOM - TOP);
        let (middle, base) = ((LEFT + RIGHT) / 2.0, HEIGHT - 12.0);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">{}</text>\n\
             <text x=\"{middle}\" y=\"{base}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
            self.title,
            self.x,
            (TOP + BOTTOM) / 2.0,
            self.y
        );
        let mut add = |text: std::fmt::Arguments| svg.write_fmt(text).expect("text");
        for &tick in &x_axis.ticks {
            let x = x_of(tick);
            add(format_args!("<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>\n", BOTTOM + 18.0));
        }
        for &tick in &y_axis.ticks {
            let y = y_of(tick);
            add(format_args!("<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#ddd\"/>\n"));
            add(format_args!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>\n", LEFT - 6.0, y + 4.0));
        }
        for (i, (name, points)) in self.lines.iter().enumerate() {
            let color = COLORS[i % COLORS.len()];
            let path: Vec<String> = points.iter().map(|&(x, y)| format!("{:.1},{:.1}", x_of(x), y_of(y))).collect();
            add(format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>\n",
                path.join(" ")
            ));
            let y = TOP + 10.0 + 20.0 * i as f64;
            add(format_args!("<path d=\"M{} {y}h18\" stroke=\"{color}\" stroke-width=\"3\"/>\n", RIGHT + 14.0));
            add(format_args!("<text x=\"{}\" y=\"{}\">{name}</text>\n", RIGHT + 38.0, y + 4.0));
        }
        svg.push_str("</svg>\n");
        std::fs::write(file, svg).expect("a file");
    }
}
