//! Looks for ends in a JSON text, sixteen bytes at a time. Pure.

use wide::u8x16;

/// The bytes that are looked at together.
const WIDTH: usize = 16;
/// A bit for each of them.
const ALL: u32 = 0xffff;

/// How many bytes from there on are neither quotes, nor backslashes, nor control characters.
#[inline]
pub(super) fn plain(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let mut found = 0;
    loop {
        let bytes = chunk(rest, found);
        let control = bytes.simd_eq(bytes.min(u8x16::splat(0x1f)));
        let ends = (is(bytes, b'"') | is(bytes, b'\\') | control).to_bitmask();
        if ends != 0 {
            return (found + ends.trailing_zeros() as usize).min(rest.len());
        }
        found += WIDTH;
    }
}

/// The place after the bracket that closes an object or a list, which begins before that place; `None` where none does.
/// Brackets of either kind count as the same, and those in texts not at all.
pub(super) fn after_brackets(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 1_u32;
    // Each in the lowest bit, for the first byte: what the chunk before has left.
    let (mut is_escaped, mut is_text) = (0, 0);
    while at < text.len() {
        let bytes = chunk(text, at);
        let escaped = escaped(is(bytes, b'\\').to_bitmask(), is_escaped);
        let quotes = is(bytes, b'"').to_bitmask() & !escaped;
        let in_text = (between(quotes) ^ is_text) & ALL;
        // `{` and `[` differ in this bit alone, and so do `}` and `]`.
        let folded = bytes | u8x16::splat(0x20);
        let opening = is(folded, b'{').to_bitmask() & !in_text;
        let closing = is(folded, b'}').to_bitmask() & !in_text;
        let mut brackets = opening | closing;
        while brackets != 0 {
            let place = brackets.trailing_zeros();
            depth = match opening >> place & 1 {
                1 => depth + 1,
                _ => depth - 1,
            };
            if depth == 0 {
                return Some(at + place as usize + 1);
            }
            brackets &= brackets - 1;
        }
        is_escaped = escaped >> WIDTH;
        is_text = 0_u32.wrapping_sub(in_text >> (WIDTH - 1));
        at += WIDTH;
    }
    None
}

/// The bytes from there on; NUL where there are no more.
#[inline]
fn chunk(text: &[u8], at: usize) -> u8x16 {
    let rest = text.get(at..).unwrap_or_default();
    let bytes = rest.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; WIDTH];
        padded[..rest.len()].copy_from_slice(rest);
        padded
    });
    u8x16::from(bytes)
}

#[inline]
fn is(bytes: u8x16, byte: u8) -> u8x16 {
    bytes.simd_eq(u8x16::splat(byte))
}

/// The bytes that a backslash takes its meaning of, of which `is_escaped` is the first; one bit more than there are bytes,
/// for the first of the next.
#[inline]
fn escaped(mut backslashes: u32, is_escaped: u32) -> u32 {
    let mut escaped = is_escaped;
    backslashes &= !is_escaped;
    while backslashes != 0 {
        let next = 2 << backslashes.trailing_zeros();
        escaped |= next;
        backslashes &= (backslashes - 1) & !next;
    }
    escaped
}

/// Each bit from a quote on, up to the next: the sum, without carry, of all bits below and its own.
#[inline]
fn between(quotes: u32) -> u32 {
    let mut sum = quotes;
    for shift in [1, 2, 4, 8] {
        sum ^= sum << shift;
    }
    sum
}
