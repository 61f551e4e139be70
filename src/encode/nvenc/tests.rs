//! Where decoding times come from, and what the probe's process can do to who asks it. The encoder itself is tried on the
//! stand-in, in `tests/nvenc`.

use std::time::Duration;

use super::*;

fn leads(given: &[u64], coded: &[u64]) -> Vec<u64> {
    let mut order = Order { given: given.iter().copied().collect(), ..Order::default() };
    coded.iter().map(|&frame| order.take(frame).unwrap()).collect()
}

/// Decoding times, a frame of delay added, for these leads.
fn decoded(coded: &[u64], leads: &[u64]) -> Vec<u64> {
    coded.iter().zip(leads).map(|(frame, lead)| frame + 1 - lead).collect()
}

#[test]
fn frames_are_decoded_one_by_one_and_never_late() {
    let coded = [0, 3, 1, 2, 6, 4, 5];
    let found = leads(&[0, 1, 2, 3, 4, 5, 6], &coded);
    assert_eq!(found, [1, 3, 0, 0, 3, 0, 0]);
    assert_eq!(decoded(&coded, &found), [0, 1, 2, 3, 4, 5, 6]);
    // Frames 2 to 4 were left out, and 7 is a keyframe before which what is held back is coded.
    let (given, coded) = ([0, 1, 5, 6, 7, 8], [0, 5, 1, 6, 7, 8]);
    let found = leads(&given, &coded);
    assert_eq!(decoded(&coded, &found), [0, 1, 2, 6, 7, 8]);
}

#[test]
fn more_reordering_than_there_is_time_for_is_an_error() {
    let mut order = Order { given: (0..9).collect(), ..Order::default() };
    let outcome: Result<Vec<_>, _> = [0, 4, 2, 1].into_iter().map(|frame| order.take(frame)).collect();
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "nvenc wrote frame 1 after it was due: it reorders by more than one frame"
    );
    let mut order = Order { is_kept: true, given: (0..3).collect(), place: None };
    assert!((0..3).all(|frame| order.take(frame).unwrap() == 0));
}

fn outcome_of(program: &str, arguments: &[&str]) -> Result<Option<Findings>, ProbeError> {
    outcome_within(PATIENCE, program, arguments)
}

fn outcome_within(patience: Duration, program: &str, arguments: &[&str]) -> Result<Option<Findings>, ProbeError> {
    let arguments = arguments.iter().map(ToString::to_string).collect();
    let probe = Probe { program: program.into(), arguments, patience };
    probe::ask(&Access { directory: None, probe: Some(probe) })
}

/// One test, since what is found holds for the whole process.
#[test]
fn whatever_the_probe_does_is_an_answer() {
    set_access(Access::default());
    assert_eq!(probe::ask(&Access::default()), Ok(None), "nothing is tried where nobody says with what");
    let missing = outcome_of("no-such-program", &[]).unwrap_err();
    assert!(missing.to_string().starts_with("the driver could not be tried: "), "{missing}");
    let refused = outcome_of("echo", &[r#"{"refused":"no GPU"}"#]).unwrap_err();
    assert_eq!(refused.to_string(), "no GPU");
    let answer = r#"{"found":{"interface":"12.2","device":"T4","codecs":[{"name":"H.264","widthMax":4096,"heightMax":4096,"bFramesMax":4,"hasLiveBitrate":true}]}}"#;
    let found = outcome_of("echo", &[answer]).unwrap().unwrap();
    assert_eq!(found.to_string(), "T4, interface 12.2, H.264 to 4096x4096, 4 B frames");
    assert_eq!(outcome_of("false", &[]), Ok(Some(found)), "what was found holds");
    for (program, argument, message) in [
        ("sh", "kill -SEGV $$", "the driver crashed the process that tried it: signal: 11 (SIGSEGV)"),
        ("sh", "exit 3", "the driver crashed the process that tried it: exit status: 3"),
        ("sh", "echo hello", "the process that tried the driver did not say what came of it"),
    ] {
        set_access(Access::default());
        let error = outcome_of(program, &["-c", argument]).unwrap_err();
        assert!(error.to_string().starts_with(message), "{argument}: {error}");
        assert_eq!(outcome_of("echo", &[answer]), Err(error), "and it is not tried again");
    }
    set_access(Access::default());
    let hung = outcome_within(Duration::from_millis(100), "cat", &["/dev/zero"]).unwrap_err();
    assert_eq!(hung.to_string(), "the driver hung the process that tried it for 100 ms", "it says more than is read");
    set_access(Access::default());
}
