//! Plots as SVG: axes, lines and words, readable on light and on dark ground.

use std::fmt::Write as _;

/// Where the colours are named once for both grounds.
const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #333 } \
.title { font-weight: 600; font-size: 13px } .small { font-size: 11px } \
.axis { stroke: #888; fill: none } .grid { stroke: #8884; fill: none } .shade { fill: #8883 } \
.line { fill: none; stroke-width: 2 } .ring { fill: none; stroke-width: 1.5 } \
.a { stroke: #0969da } .b { stroke: #bc4c00 } .c { stroke: #1a7f37 } .d { stroke: #8250df } .e { stroke: #6e7781 } .f { stroke: #bf3989 } \
text.a { fill: #0969da } text.b { fill: #bc4c00 } text.c { fill: #1a7f37 } text.d { fill: #8250df } text.e { fill: #6e7781 } text.f { fill: #bf3989 } \
text.a, text.b, text.c, text.d, text.e, text.f { stroke: none } \
@media (prefers-color-scheme: dark) { text { fill: #ddd } \
.a { stroke: #58a6ff } .b { stroke: #f0883e } .c { stroke: #3fb950 } .d { stroke: #bc8cff } .e { stroke: #9198a1 } .f { stroke: #f778ba } \
text.a { fill: #58a6ff } text.b { fill: #f0883e } text.c { fill: #3fb950 } text.d { fill: #bc8cff } text.e { fill: #9198a1 } text.f { fill: #f778ba } }";

/// How numbers become places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm; above 0.
    Log,
    /// By the logarithm of one more, so that there is a 0.
    LogFromZero,
}

impl Scale {
    fn of(self, number: f64) -> f64 {
        match self {
            Self::Linear => number,
            Self::Log => number.ln(),
            Self::LogFromZero => number.ln_1p(),
        }
    }
}

/// An axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What it tells, with its unit.
    pub label: String,
    /// Evenly or not.
    pub scale: Scale,
    /// Its ends.
    pub ends: (f64, f64),
    /// Numbers that are written, and how.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// One whose ticks are written as they are.
    pub fn new(label: &str, scale: Scale, ends: (f64, f64), ticks: &[f64]) -> Self {
        Self {
            label: label.to_owned(),
            scale,
            ends,
            ticks: ticks.iter().map(|tick| (*tick, tick.to_string())).collect(),
        }
    }

    /// Where a number lies, 0 at the beginning and 1 at the end.
    fn part(&self, number: f64) -> f64 {
        let (first, last) = (self.scale.of(self.ends.0), self.scale.of(self.ends.1));
        ((self.scale.of(number) - first) / (last - first)).clamp(0.0, 1.0)
    }
}

/// A picture that is drawn.
#[derive(Debug, Clone)]
pub struct Svg {
    size: (f64, f64),
    body: String,
}

/// A part of it with axes.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Left, top, width and height.
    pub place: (f64, f64, f64, f64),
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
}

impl Panel {
    /// Where a pair of numbers lies.
    pub fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (left, top, width, height) = self.place;
        (
            left + width * self.x.part(x),
            top + height * (1.0 - self.y.part(y)),
        )
    }
}

impl Svg {
    /// An empty one.
    pub fn new(width: f64, height: f64) -> Self {
        Self {
            size: (width, height),
            body: String::new(),
        }
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    /// Words, with the class that they are of and the side to which they keep: `start`, `middle` or `end`.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.push(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        ));
    }

    /// Axes with ticks and their labels.
    pub fn axes(&mut self, panel: &Panel) {
        let (left, top, width, height) = panel.place;
        let (right, bottom) = (left + width, top + height);
        for (tick, written) in &panel.x.ticks {
            let x = left + width * panel.x.part(*tick);
            self.push(format_args!(
                r#"<path class="grid" d="M{x:.1} {top}V{bottom}"/>"#
            ));
            self.text((x, bottom + 16.0), "middle", "small", written);
        }
        for (tick, written) in &panel.y.ticks {
            let y = top + height * (1.0 - panel.y.part(*tick));
            self.push(format_args!(
                r#"<path class="grid" d="M{left} {y:.1}H{right}"/>"#
            ));
            self.text((left - 6.0, y + 4.0), "end", "small", written);
        }
        self.push(format_args!(
            r#"<path class="axis" d="M{left} {top}V{bottom}H{right}"/>"#
        ));
        self.text(
            (left + width / 2.0, bottom + 34.0),
            "middle",
            "",
            &panel.x.label,
        );
        self.text((left - 34.0, top - 10.0), "start", "title", &panel.y.label);
    }

    /// A line through pairs of numbers.
    pub fn line(&mut self, panel: &Panel, class: &str, points: &[(f64, f64)]) {
        let places = points.iter().map(|point| {
            let (x, y) = panel.at(*point);
            format!("{x:.1} {y:.1}")
        });
        let places: Vec<String> = places.collect();
        self.push(format_args!(
            r#"<path class="line {class}" d="M{}"/>"#,
            places.join("L")
        ));
    }

    /// A ring at a pair of numbers.
    pub fn ring(&mut self, panel: &Panel, class: &str, radius: f64, point: (f64, f64)) {
        let (x, y) = panel.at(point);
        self.push(format_args!(
            r#"<circle class="ring {class}" cx="{x:.1}" cy="{y:.1}" r="{radius}"/>"#
        ));
    }

    /// A time, shaded, with what it was.
    pub fn shade(&mut self, panel: &Panel, from: f64, to: f64, text: &str) {
        let (_, top, _, height) = panel.place;
        let (left, _) = panel.at((from, 0.0));
        let (right, _) = panel.at((to, 0.0));
        let width = right - left;
        self.push(format_args!(
            r#"<rect class="shade" x="{left:.1}" y="{top}" width="{width:.1}" height="{height}"/>"#
        ));
        self.text((left + width / 2.0, top + 12.0), "middle", "small", text);
    }

    /// A sample of a line with what it stands for.
    pub fn legend(&mut self, (x, y): (f64, f64), class: &str, text: &str) {
        let end = x + 20.0;
        self.push(format_args!(
            r#"<path class="line {class}" d="M{x} {y}H{end}"/>"#
        ));
        self.text((x + 26.0, y + 4.0), "start", class, text);
    }

    /// The file.
    pub fn finish(self, title: &str) -> String {
        let (width, height) = self.size;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n{}</svg>\n",
            self.body
        )
    }
}
