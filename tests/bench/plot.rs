//! Figures as a picture for the documents: small panels, each with its lines, as one SVG without script or foreign font,
//! for light and dark pages. Here is where things go; how they look is in the template, `plot.svg`.
//!
//! By hand, because plotting crates (plotters among them) write fixed colours into every element and neither title nor
//! description, so that what a document needs would have to be patched into their output.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, context};

const TEMPLATE: &str = include_str!("plot.svg");
/// The size of a panel, and of what is around the lines in it, in pixels.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 52.0;
/// Room for the names at the end of lines.
const RIGHT: f64 = 128.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 52.0;
/// Above all panels.
const HEADLINE: f64 = 62.0;
const COLUMNS: usize = 2;
/// Between the names of two lines.
const LINE_HEIGHT: f64 = 14.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Logarithmic,
}

pub struct Panel {
    pub title: String,
    /// What stands under the horizontal axis.
    pub label: String,
    pub scale: Scale,
    pub ticks: Vec<(f64, String)>,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub name: String,
    /// Colour, dashes and marker: the same for the same contender everywhere.
    pub look: Look,
    pub places: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
pub enum Look {
    First,
    Second,
    Third,
}

impl Look {
    /// As the template calls it.
    fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Third => "third",
        }
    }
}

/// A point of a line, with the range in which its rounds lie.
pub struct Place {
    pub x: f64,
    pub y: f64,
    pub least: f64,
    pub most: f64,
    pub name: String,
}

/// The picture; the vertical axes begin at nothing, and are in microseconds.
pub fn svg(title: &str, remark: &str, description: &str, panels: &[Panel]) -> String {
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    let mut engine = Environment::new();
    engine.set_auto_escape_callback(|_| AutoEscape::Html);
    engine.set_syntax(syntax.build().expect("these are no delimiters"));
    engine.add_template("plot.svg", TEMPLATE).expect("the template is well-formed");
    let drawn: Vec<Value> = panels.iter().enumerate().map(|(at, panel)| drawn(panel, at)).collect();
    let values = context! {
        title, remark, description, panels => drawn,
        width => WIDTH * COLUMNS as f64,
        height => HEADLINE + HEIGHT * panels.len().div_ceil(COLUMNS) as f64,
        left => LEFT, right => WIDTH - RIGHT, bottom => HEIGHT - BOTTOM,
    };
    let template = engine.get_template("plot.svg").expect("it was added");
    template.render(values).unwrap_or_else(|error| panic!("the picture cannot be drawn: {error:#}"))
}

/// The panel with everything in its place, in pixels from its corner.
fn drawn(panel: &Panel, at: usize) -> Value {
    let most = panel.lines.iter().flat_map(|line| &line.places).map(|place| place.most).fold(0.0, f64::max);
    let step = step(most);
    let steps = (most / step).ceil().max(1.0);
    let across = across(panel);
    let up = |value: f64| tenth(HEIGHT - BOTTOM - value / (step * steps) * (HEIGHT - BOTTOM - TOP));
    let tick = |at: f64, text: &str| context! { at, text };
    let levels = (0..=steps as u32).map(|count| f64::from(count) * step);
    let ends: Vec<f64> = panel.lines.iter().map(|line| line.places.last().map_or(0.0, |place| up(place.y))).collect();
    let lines = panel.lines.iter().zip(parted(&ends)).map(|(line, name_y)| {
        let points: Vec<String> =
            line.places.iter().map(|place| format!("{},{}", across(place.x), up(place.y))).collect();
        let markers: Vec<Value> = line.places.iter().map(|place| marker(line, place, &across, up)).collect();
        context! { look => line.look.name(), name => &line.name, name_y, points => points.join(" "), markers }
    });
    context! {
        x => WIDTH * (at % COLUMNS) as f64,
        y => HEADLINE + HEIGHT * (at / COLUMNS) as f64,
        title => &panel.title,
        label => &panel.label,
        across => panel.ticks.iter().map(|(x, text)| tick(across(*x), text)).collect::<Vec<Value>>(),
        up => levels.map(|level| tick(up(level), &format!("{level}"))).collect::<Vec<Value>>(),
        lines => lines.collect::<Vec<Value>>(),
    }
}

fn marker(line: &Line, place: &Place, across: impl Fn(f64) -> f64, up: impl Fn(f64) -> f64) -> Value {
    let Place { x, y, least, most, name } = place;
    context! {
        x => across(*x),
        y => up(*y),
        least => up(*least),
        most => up(*most),
        about => format!("{}, {name}: {y:.1} µs ({least:.1} to {most:.1})", line.name),
    }
}

/// Where a value lies on the horizontal axis. Its first and last tick keep a little distance from the ends.
fn across(panel: &Panel) -> impl Fn(f64) -> f64 {
    const INSET: f64 = 14.0;
    let scale = panel.scale;
    let scaled = move |x: f64| if scale == Scale::Logarithmic { x.log10() } else { x };
    let first = scaled(panel.ticks.first().map_or(0.0, |(x, _)| *x));
    let last = scaled(panel.ticks.last().map_or(1.0, |(x, _)| *x));
    let (from, to) = (LEFT + INSET, WIDTH - RIGHT - INSET);
    move |x| tenth(from + (scaled(x) - first) / (last - first) * (to - from))
}

/// A round distance between ticks, of which up to six reach over `most`.
fn step(most: f64) -> f64 {
    let raw = (most / 6.0).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(raw.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|round| round * power >= raw).unwrap_or(10.0);
    round * power
}

/// Where the names stand whose lines end at these heights: in their order, but not over each other.
fn parted(ends: &[f64]) -> Vec<f64> {
    let mut places = ends.to_vec();
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by(|one, other| ends[*one].total_cmp(&ends[*other]));
    for pair in order.windows(2) {
        places[pair[1]] = places[pair[1]].max(places[pair[0]] + LINE_HEIGHT);
    }
    // Not below the axis: pushed up again from the lowest.
    let mut lowest = HEIGHT - BOTTOM;
    for &at in order.iter().rev() {
        places[at] = tenth(places[at].min(lowest));
        lowest = places[at] - LINE_HEIGHT;
    }
    places
}

/// Pixels to one place: more is not seen, and makes the file long.
fn tenth(pixels: f64) -> f64 {
    (pixels * 10.0).round() / 10.0
}
