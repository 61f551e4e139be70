//! Easings, sampled: what the Web Animations of the browser say of CSS's own.

use serde_json::Value;
use stream_manager::scene::Easing;

use crate::support::chromium::NUMBERS;

/// Times asked for, evenly from start to end.
const SAMPLES: usize = 51;
/// Chromium solves Bézier curves to 1e-7 of the time and stores parameters in double precision.
const OFF_MAX: f64 = 1e-5;

const EASINGS: &[&str] = &[
    "linear",
    "ease",
    "ease-in",
    "ease-out",
    "ease-in-out",
    "step-start",
    "step-end",
    "steps(1)",
    "steps(4)",
    "steps(7, start)",
    "steps(5, end)",
    "steps(3, jump-start)",
    "steps(3, jump-end)",
    "steps(3, jump-none)",
    "steps(3, jump-both)",
    "cubic-bezier(0.25, 0.1, 0.25, 1)",
    "cubic-bezier(0.68, -0.55, 0.27, 1.55)",
    "cubic-bezier(0.1, 3, 0.9, -2)",
    "cubic-bezier(0, 1, 0, 1)",
    "cubic-bezier(1, 0, 0, 1)",
    "cubic-bezier(0, 0, 1, 1)",
    "linear(0, 1)",
    "linear(0, 0.25, 1)",
    "linear(0, 0.8 50%, 1)",
    "linear(0, 1.2 30% 60%, 0.9, 1)",
    "linear(0.2, 0.5 20%, 0.1 10%, 1)",
    "linear(0 10%, 0.5, 1 80%)",
    "linear(-0.5, 1.5 40%, 1.5 40%, 0.3, 1)",
];

fn time(i: usize) -> f64 {
    i as f64 / (SAMPLES - 1) as f64
}

/// Leaves the progress of every easing at every time in the page.
pub(crate) fn script() -> String {
    let easings = serde_json::to_string(EASINGS).unwrap();
    let times = serde_json::to_string(&(0..SAMPLES).map(time).collect::<Vec<_>>()).unwrap();
    format!(
        "<pre id={NUMBERS} hidden></pre><script>
        const progress = (easing, time) => {{
            const timing = {{ duration: 1000, fill: 'both', easing }};
            const animation = new Animation(new KeyframeEffect(document.body, null, timing));
            animation.currentTime = time * 1000;
            return animation.effect.getComputedTiming().progress;
        }};
        const easings = Object.fromEntries({easings}.map(easing => [easing, {times}.map(time => progress(easing, time))]));
        document.getElementById('{NUMBERS}').textContent = JSON.stringify({{ easings }});
        </script>"
    )
}

pub(crate) fn compare(numbers: &Value) {
    for name in EASINGS {
        let easing: Easing = name.parse().unwrap_or_else(|error| panic!("{error}"));
        let expected = numbers[name].as_array().unwrap_or_else(|| panic!("Chromium does not know {name}"));
        assert_eq!(expected.len(), SAMPLES, "{name}");
        for (i, expected) in expected.iter().enumerate() {
            let (found, expected) = (easing.at(time(i)), expected.as_f64().unwrap());
            assert!((found - expected).abs() < OFF_MAX, "{name} at {}: {found} instead of {expected}", time(i));
        }
    }
}
