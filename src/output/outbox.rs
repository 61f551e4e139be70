//! Bytes on their way into the socket: the publisher's pieces, gathered for one system call, never copied.
//!
//! It takes only [`ROOM`] bytes ahead of the socket. What is more stays with the publisher, which limits what a server
//! may cause, and in the queue, which can still drop it.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes};

use crate::rtmp::Publisher;

/// Bytes that are gathered ahead of the socket: 100 ms of 5 Mb/s, and more than one system call takes (64 pieces).
pub(super) const ROOM: usize = 64 << 10;

/// Pieces in order. Read as a [`Buf`] by tokio's `write_buf`.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Bytes>,
    len: usize,
}

impl Outbox {
    /// Takes pieces from `publisher` while there is room.
    pub(super) fn fill(&mut self, publisher: &mut Publisher) {
        while self.has_room()
            && let Some(piece) = publisher.poll_output()
        {
            self.push(piece);
        }
    }

    /// Whether it wants more.
    pub(super) fn has_room(&self) -> bool {
        self.len < ROOM
    }

    fn push(&mut self, piece: Bytes) {
        // An empty piece at the front would look like the end.
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push_back(piece);
        }
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pairs = slices.iter_mut().zip(&self.pieces);
        pairs.map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.len, "the socket took {count} bytes of {}", self.len);
        self.len -= count;
        while let Some(piece) = self.pieces.front_mut().filter(|_| count > 0) {
            let taken = count.min(piece.len());
            piece.advance(taken);
            count -= taken;
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the socket takes at a time, it gets the pieces' bytes in order.
        #[test]
        fn nothing_is_lost_or_reordered(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..12),
            steps in prop::collection::vec(1_usize..20, 1..8),
        ) {
            let mut outbox = Outbox::default();
            pieces.iter().for_each(|piece| outbox.push(Bytes::from(piece.clone())));
            let mut taken = Vec::new();
            for step in steps.iter().cycle() {
                if !outbox.has_remaining() {
                    break;
                }
                let mut slices = [IoSlice::new(&[]); 3];
                let count = outbox.chunks_vectored(&mut slices);
                let gathered: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
                prop_assert_eq!(outbox.chunk(), &*slices[0]);
                let step = (*step).min(gathered.len());
                taken.extend_from_slice(&gathered[..step]);
                outbox.advance(step);
            }
            prop_assert_eq!(taken, pieces.concat());
            prop_assert!(outbox.chunk().is_empty());
        }
    }
}
