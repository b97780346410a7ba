//! Chance that repeats: a stream of numbers and a field of smooth noise, both fixed by their seed.

use super::colour::Colour;

/// Scrambles 64 bits (the finaliser of `SplitMix64`, Steele et al. 2014, <https://doi.org/10.1145/2660193.2660195>).
fn scramble(bits: u64) -> u64 {
    let bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

/// The upper 24 bits as a number in 0..1; `f32` holds no more.
fn unit(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1 << 24) as f32
}

/// A stream of pseudo-random numbers.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        scramble(self.0)
    }

    /// A number in 0..1.
    pub(super) fn unit(&mut self) -> f32 {
        unit(self.bits())
    }

    /// A number between two others.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A number in -1..1, near 0 more often than not.
    pub(super) fn centred(&mut self) -> f32 {
        (self.unit() + self.unit() + self.unit()) / 1.5 - 1.0
    }

    /// Whether something of this probability happens.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// A shift of every channel of a colour by up to `by`.
    pub(super) fn tint(&mut self, by: f32) -> Colour {
        std::array::from_fn(|_| self.centred() * by)
    }

    /// One of several, which must not be none.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.bits() as usize % from.len()]
    }
}

/// Smooth noise over the plane, in 0..1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise(pub(super) u64);

impl Noise {
    fn lattice(self, x: i32, y: i32) -> f32 {
        let place = u64::from(x as u32) << 32 | u64::from(y as u32);
        unit(scramble(place ^ self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// The noise at one place; it changes over a distance of about 1.
    pub(super) fn at(self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let ease = |t: f32| t * t * (3.0 - 2.0 * t);
        let (across, down) = (ease(x - left), ease(y - top));
        let (left, top) = (left as i32, top as i32);
        let row = |y: i32| {
            let (from, to) = (self.lattice(left, y), self.lattice(left.wrapping_add(1), y));
            from + (to - from) * across
        };
        let (upper, lower) = (row(top), row(top.wrapping_add(1)));
        upper + (lower - upper) * down
    }

    /// Noise of several octaves, each half as wide and half as strong as the one before.
    pub(super) fn fractal(self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut sum, mut weights) = (0.0, 0.0);
        for octave in 0..octaves {
            let scale = (1u32 << octave) as f32;
            // The octaves' lattices must not coincide, or their seams would show.
            let shift = 17.3 * octave as f32;
            sum += self.at(x * scale + shift, y * scale - shift) / scale;
            weights += scale.recip();
        }
        sum / weights
    }
}
