//! Whatever the text, what is taken for cuts is ascending, and is the same when it is written and read again.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Some(cuts) = pintle_image::cuts::parse(text) {
        assert!(cuts.is_sorted_by(|a, b| a < b));
        assert_eq!(pintle_image::cuts::parse(&pintle_image::cuts::to_text(&cuts)), Some(cuts));
    }
});
