//! Tables that are checked in.

/// Holds `table` against `golden/<name>.txt`, or writes it there where `PINTLE_BLESS` is set.
pub(crate) fn compare(name: &str, table: &str) {
    let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("PINTLE_BLESS").is_some() {
        std::fs::write(&path, table).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (number, (is, was)) in table.lines().zip(golden.lines()).enumerate() {
        assert_eq!(is, was, "{path}:{}", number + 1);
    }
    assert_eq!(table.len(), golden.len(), "{path} has another length");
}
