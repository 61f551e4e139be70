//! A running stream, with the GPU that is there.

use prometheus::Registry;
use serde_json::json;

use super::*;
use crate::{
    base::clock::SystemClock,
    gpu::Fit,
    media,
    scene::{LayerErrors, read_layers},
};

/// Polls of 10 ms before a test is given up; they decide nothing but its speed.
const POLLS_MAX: usize = 3_000;

fn show(canvas: &Canvas, color: &str) -> Arc<Show> {
    let layer = json!({ "id": "all", "content": { "type": "color", "color": color } });
    Arc::new(Show::of_layers(canvas.clone(), LayerErrors::Hide, read_layers(vec![layer]).unwrap()))
}

/// The device goes away under a running stream: pictures are encoded all the same, and what is put on air meanwhile is
/// drawn by a new one.
#[test]
fn a_lost_gpu_is_replaced_while_pictures_go_on() {
    let canvas: Canvas = serde_json::from_value(json!({ "width": 64, "height": 64, "fps": "25" })).unwrap();
    let (id, clock) = (Id::new("main").unwrap(), Arc::new(SystemClock::new()));
    let encoder = EncoderSettings::new(Backend::Auto, canvas.size, canvas.fps, 100, Duration::from_secs(2));
    let config = Config {
        id: id.clone(),
        show: show(&canvas, "#ff0000"),
        renditions: vec![Rendition { id, fit: Fit::default(), every: 1, encoder }],
        sound: SoundSettings { mix: Arc::new(Mix::default()), bitrate_kbps: 128 },
    };
    let library = Library::new(media::Config::default()).unwrap();
    let devices = Arc::new(Devices::open(gpu::Options::default(), library).unwrap());
    let families = Families::new(&Registry::new()).unwrap();
    let stream = Stream::start(config, devices.clone(), clock.clone(), &families).unwrap();
    let encoded = || stream.renditions[0].metrics.frames_encoded.get();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let is_reached = (0..POLLS_MAX).any(|_| {
            clock.sleep_until(clock.now() + Duration::from_millis(10));
            is_so()
        });
        assert!(is_reached, "never: {what}");
    };
    // While there is no device there is no picture to be had: that is not what is asked here.
    let shows =
        |rgba: [u8; 4]| runtime.block_on(stream.capture()).is_ok_and(|still| still.picture.get_pixel(32, 32).0 == rgba);
    until("the first show is drawn", &|| shows([255, 0, 0, 255]));
    devices.gpu().unwrap().device.destroy();
    until("a show is put on air", &|| stream.put_show(stream.aim(0).frame, show(&canvas, "#00ff00")).is_some());
    until("it is drawn", &|| shows([0, 255, 0, 255]));
    assert!(stream.metrics.gpu_rebuilds.get() > 0 && devices.is_healthy());
    let before = encoded();
    until("pictures go on", &|| encoded() > before + 5);
}
