//! The generated picture: pattern, burnt-in clock, tone, and black, frozen or silent spells on a timetable.

use std::fmt::Write;

use crate::config::TestSource;

use super::{Args, Recipe, Sound};

/// Rate of a pattern when the camera does not say.
pub(super) const FPS: u32 = 25;

pub(super) fn add(args: &mut Args, test: &TestSource, recipe: &Recipe) {
    let Some(tier) = recipe.tier() else { return };
    let fps = tier.fps.unwrap_or(FPS);
    let mut graph = format!("{}=size={}:rate={fps}", test.pattern, tier.size);
    if recipe.draw_text {
        // The wall clock to read, the run's own time to compare with the names of pictures. Drawn before the freeze,
        // so that the clock stands still as well.
        let height = tier.size.height / 18;
        let _ = write!(
            graph,
            ",drawtext=text='%{{gmtime\\:%Y-%m-%d %H\\\\\\:%M\\\\\\:%S}} UTC  %{{pts\\:hms}}':x=8:y=8:fontsize={height}:\
             fontcolor=white:box=1:boxcolor=black"
        );
    }
    if !test.freeze.is_empty() {
        let _ = write!(graph, ",{}:s={}:fps={fps}", freeze(test, fps), tier.size);
    }
    if let Some(when) = spells(&test.black, test.period) {
        let _ = write!(graph, ",drawbox=t=fill:c=black:enable='{when}'");
    }
    args.add("-re -f lavfi").pair("-i", graph);
    if recipe.audio != Sound::None {
        let mut tone = format!("sine=frequency={}:sample_rate=48000", test.tone);
        if let Some(when) = spells(&test.silence, test.period) {
            let _ = write!(tone, ",volume=0:enable='{when}'");
        }
        args.add("-re -f lavfi").pair("-i", tone);
    }
}

/// `between(mod(t,60),10,14.999)+…`; the end is exclusive.
fn spells(spells: &[[f64; 2]], period: f64) -> Option<String> {
    let time = time("t", period);
    let terms: Vec<_> = spells.iter().map(|[from, to]| format!("gte({time},{from})*lt({time},{to})")).collect();
    (!terms.is_empty()).then(|| terms.join("+"))
}

/// `zoompan` without zoom shows each picture for `d` output pictures, without reading on: the only filter of FFmpeg 5.1
/// that holds a picture on a timetable in real time. (`fps` after `select` fills a hole only when it is over.)
fn freeze(test: &TestSource, fps: u32) -> String {
    let time = time(&format!("(on/{fps})"), test.period);
    let hold = test.freeze.iter().rev().fold("1".to_owned(), |rest, [from, to]| {
        // Half a picture early, so that rounding cannot show one picture more.
        format!("if(gte({time},{from})*lt({time},{to}-0.5/{fps}),ceil(({to}-{time})*{fps}-0.001),{rest})")
    });
    format!("zoompan=z=1:d='{hold}'")
}

fn time(variable: &str, period: f64) -> String {
    if period > 0.0 { format!("mod({variable},{period})") } else { variable.to_owned() }
}
