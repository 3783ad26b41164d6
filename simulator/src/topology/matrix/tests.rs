use super::*;

fn read(text: &str, unit: Unit, values: MatrixValues, symmetric: bool) -> Result<Vec<u32>, String> {
    let text = Text { file: "my.csv".into(), text: text.into() };
    let how = Reading { unit: Some(unit), values, symmetric };
    parse(&text, unit, how).map(|matrix| matrix.one_way_us.to_vec()).map_err(|e| e.to_string())
}

fn round_trips(text: &str) -> Result<Vec<u32>, String> {
    read(text, Unit::Ms, MatrixValues::RoundTrip, false)
}

fn symmetric(text: &str) -> Result<Vec<u32>, String> {
    read(text, Unit::Ms, MatrixValues::RoundTrip, true)
}

#[test]
fn values_stand_between_white_space_or_commas() {
    let expected = Ok(vec![500, 10_000, 15_000, 500]);
    for text in
        ["0 20\n30 0\n", "0,20\r\n30,0", "\u{feff}# hosts\n\n 0\t20\n30   0 ", "0, 20\n30 ,0\n"]
    {
        assert_eq!(round_trips(text), expected, "{text:?}");
    }
}

#[test]
fn units_and_ways_are_taken_into_account() {
    let of = |unit, values| read("0 4\n4 0\n", unit, values, false).unwrap()[1];
    assert_eq!(of(Unit::S, MatrixValues::RoundTrip), 2_000_000);
    assert_eq!(of(Unit::Ms, MatrixValues::RoundTrip), 2_000);
    assert_eq!(of(Unit::Us, MatrixValues::OneWay), 4);
    assert_eq!(of(Unit::Ms, MatrixValues::OneWay), 4_000);
}

#[test]
fn the_shortest_value_does_not_become_a_missing_one() {
    assert_eq!(read("0 0.0001\n1 0\n", Unit::Us, MatrixValues::OneWay, false).unwrap()[1], 1);
}

#[test]
fn a_missing_value_comes_from_the_other_direction_of_a_symmetric_matrix() {
    assert_eq!(
        symmetric("0 20 40\n- 0 60\n0 - 0\n").unwrap(),
        [500, 10_000, 20_000, 10_000, 500, 30_000, 20_000, 30_000, 500]
    );
    // Where both are known, each keeps its own.
    assert_eq!(symmetric("0 20\n30 0\n").unwrap(), [500, 10_000, 15_000, 500]);
}

#[test]
fn a_value_missing_both_ways_is_the_mean_of_the_medians_of_row_and_column() {
    // Row 1 has 30 (and 20), column 4 has 50 and 70: medians 30 and 70 in round trips.
    let values = round_trips("0 20 30 -\n20 0 40 50\n30 40 0 70\n10 50 70 0\n").unwrap();
    assert_eq!(values[3], (15_000 + 35_000) / 2);
}

#[test]
fn a_row_may_miss_half_and_no_more() {
    assert!(round_trips("0 1 -\n1 0 1\n1 1 0\n").is_ok());
    let error = round_trips("# title\n0 1 1 1\n1 0 - 0\n1 1 0 1\n1 1 1 0\n").unwrap_err();
    assert!(error.starts_with("my.csv:3:1: 2 of 3 values are missing"), "{error}");
    assert!(error.contains("symmetric = true"), "{error}");
    let error = symmetric("0 - -\n- 0 1\n- 1 0\n").unwrap_err();
    assert!(error.starts_with("my.csv:1:1: 2 of 2 values") && !error.contains("= true"), "{error}");
}

#[test]
fn bad_values_are_named_with_their_place() {
    let wrong = |text: &str, expected: &str| {
        let error = round_trips(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    wrong("0 1\nx 0\n", "my.csv:2:1: `x` is no number");
    wrong("0 1\n\n  12ms 0\n", "my.csv:3:3: `12ms` is no number");
    wrong("from to\n0 1\n1 0\n", "a line of titles starts with `#`");
    wrong("0 -5\n1 0\n", "my.csv:1:3: `-5` is negative");
    wrong("0 NaN\n1 0\n", "my.csv:1:3: `NaN` is not finite");
    wrong("0 1\n1e999 0\n", "my.csv:2:1: `1e999` is not finite");
    wrong("0,1\n1,\n", "my.csv:2:3: an empty value");
    wrong("0 1 2\n1 0\n1 1 0\n", "my.csv:2:4: 2 values in this row, but there are 3 rows");
    wrong("0 1 2\n1 0 2\n", "my.csv:1:5: 3 values in this row, but there are 2 rows");
    wrong("", "my.csv:1:1: 0 rows of values");
    wrong("0\n", "1 rows of values; a matrix has 2 to 4096");
    wrong("0 120001\n1 0\n", "`120001` ms is more than a minute one way");
}

#[test]
fn a_matrix_beyond_the_limit_is_refused_before_it_is_read() {
    let error = round_trips(&"1\n".repeat(MAX_ROWS + 1)).unwrap_err();
    assert!(error.contains("4097 rows of values; a matrix has 2 to 4096"), "{error}");
}

#[test]
fn more_peers_than_rows_share_rows_a_millisecond_apart() {
    let one_way_us = round_trips("0 20\n30 0\n").unwrap();
    let places = Places::in_turn(2, one_way_us.into());
    let round_trip = |a, b| {
        use crate::links::LatencyModel;
        places.one_way_us(a, b) + places.one_way_us(b, a)
    };
    assert_eq!([round_trip(0, 2), round_trip(1, 5), round_trip(0, 3)], [1_000, 1_000, 25_000]);
}
