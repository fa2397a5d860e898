//! A linear model in eight bits: its format, its checks, and its scores.
//!
//! Owns [`Weights`], the [`Table`] that finds them, and how a piece of text becomes a key. Called by the emotion classifier and by
//! the safety gate, each with pieces and outputs of its own, and by their trainers. Pure. Invariant: bytes that decode give a
//! table that scores any keys without a fault.
//!
//! All little-endian: the mark, version, number of outputs, two zero bytes; number of pieces (u32); what the model adds to
//! the head, then the bias and the scale of each output (f32); the keys of the pieces, ascending (u32); for each piece a weight an
//! output (i8); SHA-256 of all before.

use sha2::{Digest as _, Sha256};

const VERSION: u8 = 1;
const SUM: usize = 32;
/// Keys are found by their upper bits: those above so many.
const BUCKET: u32 = 16;

/// Why bytes are no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not this format, or another version of it.
    Format,
    /// The length does not fit the header.
    Length,
    /// The checksum is another.
    Checksum,
    /// A number that is not finite, or keys that do not ascend.
    Content,
}

/// Weights of `N` outputs as a trainer makes them, with `E` numbers of the model's own in the head; `MARK` is the four letters that
/// the format begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights<const N: usize, const E: usize, const MARK: u32> {
    /// What the model adds to the head.
    pub extra: [f32; E],
    /// What each output says of an empty message.
    pub bias: [f32; N],
    /// What a weight of 1 is worth, for each output.
    pub scale: [f32; N],
    /// The keys of the pieces, ascending.
    pub keys: Vec<u32>,
    /// The weights of each piece, in the order of the keys.
    pub rows: Vec<[i8; N]>,
}

impl<const N: usize, const E: usize, const MARK: u32> Default for Weights<N, E, MARK> {
    fn default() -> Self {
        Self {
            extra: [0.0; E],
            bias: [0.0; N],
            scale: [0.0; N],
            keys: Vec::new(),
            rows: Vec::new(),
        }
    }
}

impl<const N: usize, const E: usize, const MARK: u32> Weights<N, E, MARK> {
    const HEAD: usize = 12 + 4 * (E + 2 * N);
    #[expect(clippy::cast_possible_truncation, reason = "some twenty outputs")]
    const OUTPUTS: u8 = N as u8;

    /// The bytes of the format.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let mut bytes = MARK.to_be_bytes().to_vec();
        bytes.extend([VERSION, Self::OUTPUTS, 0, 0]);
        bytes.extend(count.to_le_bytes());
        for number in self.extra.iter().chain(&self.bias).chain(&self.scale) {
            bytes.extend(number.to_le_bytes());
        }
        for key in &self.keys {
            bytes.extend(key.to_le_bytes());
        }
        for row in &self.rows {
            bytes.extend(row.map(i8::cast_unsigned));
        }
        let sum = Sha256::digest(&bytes);
        bytes.extend(sum);
        bytes
    }

    /// Decodes the bytes of the format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() < Self::HEAD + SUM {
            return Err(Fault::Length);
        }
        if bytes[..4] != MARK.to_be_bytes() || bytes[4..8] != [VERSION, Self::OUTPUTS, 0, 0] {
            return Err(Fault::Format);
        }
        let (body, sum) = bytes.split_at(bytes.len() - SUM);
        let count = u32s(&body[8..12]).next().unwrap_or(0) as usize;
        if body.len() - Self::HEAD != count.saturating_mul(4 + N) {
            return Err(Fault::Length);
        }
        if Sha256::digest(body).as_slice() != sum {
            return Err(Fault::Checksum);
        }
        let mut numbers = u32s(&body[12..Self::HEAD]).map(f32::from_bits);
        let mut next = || numbers.next().unwrap_or_default();
        let extra = std::array::from_fn(|_| next());
        let bias = std::array::from_fn(|_| next());
        let scale = std::array::from_fn(|_| next());
        let (keys, rows) = body[Self::HEAD..].split_at(4 * count);
        let (rows, _) = rows.as_chunks::<N>();
        Ok(Self {
            extra,
            bias,
            scale,
            keys: u32s(keys).collect(),
            rows: rows.iter().map(|row| row.map(u8::cast_signed)).collect(),
        })
    }
}

/// Weights that were checked, and can be found.
#[derive(Debug)]
pub struct Table<const N: usize, const E: usize, const MARK: u32> {
    weights: Weights<N, E, MARK>,
    /// Where the keys begin that have these upper bits; keys are hashes, so it is two or three of them.
    starts: Vec<u32>,
}

impl<const N: usize, const E: usize, const MARK: u32> Table<N, E, MARK> {
    /// The table of these weights.
    pub fn new(weights: Weights<N, E, MARK>) -> Result<Self, Fault> {
        let mut numbers = weights
            .extra
            .iter()
            .chain(&weights.bias)
            .chain(&weights.scale);
        let finite = numbers.all(|number| number.is_finite());
        let ascending = weights.keys.is_sorted_by(|a, b| a < b);
        if !finite || !ascending || weights.keys.len() != weights.rows.len() {
            return Err(Fault::Content);
        }
        let mut starts = vec![0u32; (1 << (u32::BITS - BUCKET)) + 1];
        for key in &weights.keys {
            starts[(key >> BUCKET) as usize + 1] += 1;
        }
        for bucket in 1..starts.len() {
            starts[bucket] += starts[bucket - 1];
        }
        Ok(Self { weights, starts })
    }

    /// The checked weights.
    pub fn weights(&self) -> &Weights<N, E, MARK> {
        &self.weights
    }

    /// The raw scores of a text with these keys, one an output; `None` if no piece of it is known.
    pub fn scores(&self, keys: &[u32]) -> Option<[f32; N]> {
        let mut sums = [0i32; N];
        let mut known = false;
        for row in keys.iter().filter_map(|key| self.row(*key)) {
            known = true;
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += i32::from(*weight);
            }
        }
        let share = norm(keys.len());
        let weights = &self.weights;
        known.then(|| {
            #[expect(clippy::cast_precision_loss, reason = "some thousand times 127")]
            std::array::from_fn(|o| weights.bias[o] + sums[o] as f32 * weights.scale[o] * share)
        })
    }

    fn row(&self, key: u32) -> Option<&[i8; N]> {
        let bucket = (key >> BUCKET) as usize;
        let from = *self.starts.get(bucket)? as usize;
        let to = *self.starts.get(bucket + 1)? as usize;
        let known = self.weights.keys.get(from..to)?;
        let place = known.iter().position(|known| *known == key)?;
        self.weights.rows.get(from + place)
    }
}

/// What the sum over `pieces` pieces is multiplied with, so that long messages do not shout.
#[expect(clippy::cast_precision_loss, reason = "some thousand at most")]
pub fn norm(pieces: usize) -> f32 {
    1.0 / (pieces.max(1) as f32).sqrt()
}

/// Scores as probabilities.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let top = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut shares: Vec<f32> = scores.iter().map(|score| (score - top).exp()).collect();
    let sum: f32 = shares.iter().sum();
    for share in &mut shares {
        *share /= sum;
    }
    shares
}

/// The place of the highest, the first of equals.
pub fn highest(numbers: &[f32]) -> usize {
    (0..numbers.len()).fold(
        0,
        |best, i| if numbers[i] > numbers[best] { i } else { best },
    )
}

/// The state that the letters of a piece of this kind are mixed into: equal letters of two kinds are two pieces.
pub const fn seed(kind: u64) -> u64 {
    kind.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Mixes the next letter in.
pub const fn mix(state: u64, letter: char) -> u64 {
    let state = (state ^ letter as u64).wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^ (state >> 32)
}

/// The key of a piece: the upper half, as the multiplication mixes upwards.
pub const fn key(state: u64) -> u32 {
    (state.wrapping_mul(0xc4ce_b9fe_1a85_ec53) >> 32) as u32
}

fn u32s(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| u32::from_le_bytes(*word))
}
