//! The invariants of the fuzz targets, on a fixed number of mutations of good inputs.

mod invariants;
#[path = "../../verify/tests/mutation/mod.rs"]
mod mutation;
mod support;

use invariants::{
    a_delta_makes_the_image_or_is_left, a_manifest_stays_the_same, a_seek_table_has_one_encoding,
    an_archive_is_read_or_refused, an_index_stays_the_same, frames_write_nothing_wrong,
};
use mutation::{run, run_times};

/// Each of these is a whole transfer.
const TRANSFERS: usize = 1000;

#[test]
fn documents() {
    let [index, manifest] = invariants::documents();
    run(&[index], an_index_stays_the_same);
    run(&[manifest], a_manifest_stays_the_same);
}

#[test]
fn seek_tables() {
    run(&[invariants::seek_table()], a_seek_table_has_one_encoding);
}

#[test]
fn frames() {
    run_times(TRANSFERS, &[invariants::frames()], frames_write_nothing_wrong);
}

#[test]
fn deltas() {
    run_times(TRANSFERS, &[invariants::delta()], a_delta_makes_the_image_or_is_left);
}

#[test]
fn archives() {
    run(&[invariants::archive()], an_archive_is_read_or_refused);
}
