//! Network coordinates: estimates the round trip between peers that never measured each other.
//!
//! A peer's place is a vector next to a height (Dabek, Cox, Kaashoek, Morris, "Vivaldi", SIGCOMM
//! 2004). The distance of two vectors stands for the way through the core of the network, a height
//! for the way from a peer to the core. How a peer finds its place is in [`super::position`].
//!
//! Coordinates are estimates of one peer and nothing that peers must agree on. They use floats, but
//! only operations that IEEE 754 rounds correctly, so one seed gives one result on every machine.

/// Dimensions of the space next to the height.
///
/// On 490 PlanetLab hosts the 90th percentile of the error falls from 29 % with 2 to 26 % with 4
/// and to 25 % with 6 (ADR 20). 4 takes the fewest bytes of those that are about the best.
pub const DIMENSIONS: usize = 4;

/// Longest round trip that is believed, in microseconds; also the bound of every component.
///
/// No path on Earth takes 10 s; what does is a stalled host, whose sample would only do harm.
pub const RTT_MAX_US: u32 = 10_000_000;

/// Least height in microseconds: nobody is nearer to the core than his own network stack.
pub(super) const HEIGHT_MIN_US: f64 = 10.0;

/// Error of a peer that knows nothing, and the highest there is; customary since the first Vivaldi.
pub(super) const ERROR_MAX: f64 = 1.5;

/// Least error: the resolution of the wire form, and it keeps every weight a number.
pub(super) const ERROR_MIN: f64 = 0.001;

/// A place in the latency space. Always finite and within bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coordinate {
    pub(super) vector: [f64; DIMENSIONS],
    pub(super) height: f64,
    pub(super) error: f64,
}

/// The form of a [`Coordinate`] that travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireCoordinate {
    /// Components in microseconds, within plus and minus [`RTT_MAX_US`].
    pub vector_us: [i32; DIMENSIONS],
    /// Height in microseconds, at most [`RTT_MAX_US`].
    pub height_us: u32,
    /// Expected relative error of the peer's estimates in permille, 1..=1500.
    pub error_permille: u16,
}

/// Why a coordinate from the wire is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoordinateError {
    /// A component or the height is further away than any path on Earth.
    #[error("the coordinate lies beyond {RTT_MAX_US} us: a damaged record or a hostile peer")]
    TooFar,
    /// The error is 0 or more than 1500 permille, which no honest peer computes.
    #[error("the coordinate claims an error of {permille} permille, allowed are 1 to 1500")]
    ErrorOutOfRange {
        /// What was claimed.
        permille: u16,
    },
}

impl Coordinate {
    /// The place of a peer that knows nothing: the origin, with the highest error.
    pub const UNKNOWN: Self =
        Self { vector: [0.0; DIMENSIONS], height: HEIGHT_MIN_US, error: ERROR_MAX };

    /// Rounds to whole microseconds and permille. Reading it back and rounding again changes
    /// nothing more.
    #[must_use]
    pub fn to_wire(&self) -> WireCoordinate {
        // Every part is within bounds that fit, so the casts only cut the fraction.
        WireCoordinate {
            vector_us: self.vector.map(|component| libm::round(component) as i32),
            height_us: libm::round(self.height) as u32,
            error_permille: libm::round(self.error * 1000.0) as u16,
        }
    }

    /// Reads what a peer sent.
    ///
    /// # Errors
    /// [`CoordinateError`] when the place or the error are outside of what an honest peer can
    /// compute.
    pub fn from_wire(wire: &WireCoordinate) -> Result<Self, CoordinateError> {
        let mut furthest = wire.vector_us.iter().map(|component| component.unsigned_abs());
        if furthest.any(|component| component > RTT_MAX_US) || wire.height_us > RTT_MAX_US {
            return Err(CoordinateError::TooFar);
        }
        let error = f64::from(wire.error_permille) / 1000.0;
        if !(ERROR_MIN..=ERROR_MAX).contains(&error) {
            return Err(CoordinateError::ErrorOutOfRange { permille: wire.error_permille });
        }
        Ok(Self {
            vector: wire.vector_us.map(f64::from),
            height: f64::from(wire.height_us).max(HEIGHT_MIN_US),
            error,
        })
    }

    /// Expected relative error of estimates with this coordinate, 0.001 to 1.5.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.error
    }
}

/// Estimated round trip between two peers in microseconds, at most [`RTT_MAX_US`].
#[must_use]
pub fn estimate_us(one: &Coordinate, other: &Coordinate) -> u32 {
    let estimate = length(&difference(one, other)) + one.height + other.height;
    // Not negative, and below 2^32 once it is cut.
    libm::round(estimate.min(f64::from(RTT_MAX_US))) as u32
}

pub(super) fn difference(one: &Coordinate, other: &Coordinate) -> [f64; DIMENSIONS] {
    let mut difference = one.vector;
    difference.iter_mut().zip(other.vector).for_each(|(a, b)| *a -= b);
    difference
}

pub(super) fn length(vector: &[f64; DIMENSIONS]) -> f64 {
    libm::sqrt(vector.iter().map(|component| component * component).sum())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn absurd_coordinates_are_refused() {
        let good = Coordinate::UNKNOWN.to_wire();
        let refused = |wire| Coordinate::from_wire(&wire).unwrap_err();
        let mut far = good;
        far.vector_us[3] = i32::MIN;
        assert_eq!(refused(far), CoordinateError::TooFar);
        let high = WireCoordinate { height_us: u32::MAX, ..good };
        assert_eq!(refused(high), CoordinateError::TooFar);
        for permille in [0, 1501, u16::MAX] {
            let wire = WireCoordinate { error_permille: permille, ..good };
            assert_eq!(refused(wire), CoordinateError::ErrorOutOfRange { permille });
        }
    }

    /// Whatever can come from the wire.
    pub(in super::super) fn any_coordinate() -> impl Strategy<Value = Coordinate> {
        let component = -(RTT_MAX_US as i32)..=RTT_MAX_US as i32;
        ([component.clone(), component.clone(), component.clone(), component], 0..=RTT_MAX_US)
            .prop_flat_map(|(vector_us, height_us)| {
                (1_u16..=1500).prop_map(move |error_permille| {
                    let wire = WireCoordinate { vector_us, height_us, error_permille };
                    Coordinate::from_wire(&wire).unwrap()
                })
            })
    }

    proptest! {
        #[test]
        fn the_wire_form_is_stable(coordinate in any_coordinate()) {
            let wire = coordinate.to_wire();
            prop_assert_eq!(Coordinate::from_wire(&wire).unwrap().to_wire(), wire);
        }

        #[test]
        fn estimates_are_symmetric(one in any_coordinate(), other in any_coordinate()) {
            prop_assert_eq!(estimate_us(&one, &other), estimate_us(&other, &one));
        }
    }
}
