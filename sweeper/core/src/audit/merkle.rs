//! The Merkle tree of RFC 6962 section 2: its root grown a leaf at a time, and its proofs.

use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The hash of a leaf: SHA-256(0x00 ‖ data).
pub fn leaf(data: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(data).finalize().into()
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// What must be known of a tree to append to it: the roots of its perfect subtrees, at most 64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// One for each bit that is set in `size`, the largest subtree first.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Of what [`Frontier::peaks`] gave. `None` where there cannot be so many peaks.
    pub fn of(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Appends a leaf, given by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut whole = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                whole = node(&left, &whole);
            }
        }
        self.peaks.push(whole);
        self.size += 1;
    }

    /// The root; of an empty tree, the SHA-256 of nothing.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => Sha256::digest([]).into(),
            Some(&smallest) => peaks.fold(smallest, |right, left| node(left, &right)),
        }
    }
}

/// The root over leaves given by their hashes.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut tree = Frontier::default();
    for leaf in leaves {
        tree.push(*leaf);
    }
    tree.root()
}

/// The largest power of two smaller than `size`, which is at least 2.
const fn split(size: usize) -> usize {
    1 << (usize::BITS - 1 - (size - 1).leading_zeros())
}

/// PATH(index, leaves): what proves that a leaf is in the tree. Empty also where there is no such leaf.
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Vec<Hash> {
    if index >= leaves.len() || leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, other) = if index < left.len() {
        (inclusion_proof(left, index), right)
    } else {
        (inclusion_proof(right, index - left.len()), left)
    };
    proof.push(root(other));
    proof
}

/// Whether a proof shows that the leaf is number `index` of the tree (RFC 9162 section 2.1.3.2).
pub fn is_included(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for other in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(other, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, other);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// PROOF(old, leaves): what proves that the tree grew out of its first `old` leaves. Empty where there is
/// nothing to prove.
pub fn consistency_proof(leaves: &[Hash], old: usize) -> Vec<Hash> {
    fn part(leaves: &[Hash], old: usize, whole: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if whole { Vec::new() } else { vec![root(leaves)] };
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut proof, other) = if old <= left.len() {
            (part(left, old, whole), right)
        } else {
            (part(right, old - left.len(), false), left)
        };
        proof.push(root(other));
        proof
    }
    if old == 0 || old >= leaves.len() { Vec::new() } else { part(leaves, old, true) }
}

/// Whether a proof shows that a tree grew out of an older one (RFC 9162 section 2.1.4.2).
pub fn is_consistent(old: (u64, &Hash), new: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 || old_size > new_size {
        // Everything grew out of nothing.
        return old_size == 0 && proof.is_empty();
    }
    let mut path = proof.iter();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut older, mut newer) = (*first, *first);
    for other in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            older = node(other, &older);
            newer = node(other, &newer);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            newer = node(&newer, other);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && older == *old_root && newer == *new_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey_file::hexadecimal;

    // The reference tree of RFC 6962's authors (certificate-transparency, merkletree/merkle_tree_test.cc).
    const LEAVES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn leaves() -> Vec<Hash> {
        LEAVES.iter().map(|data| leaf(data)).collect()
    }

    fn hex(proof: &[Hash]) -> Vec<String> {
        proof.iter().map(|hash| hexadecimal(hash)).collect()
    }

    #[test]
    fn roots_are_those_of_the_reference() {
        let mut tree = Frontier::default();
        assert_eq!(hexadecimal(&tree.root()), ROOTS[0]);
        for (leaf, expected) in leaves().into_iter().zip(&ROOTS[1..]) {
            tree.push(leaf);
            assert_eq!(hexadecimal(&tree.root()), *expected);
            assert_eq!(Frontier::of(tree.size(), tree.peaks().to_vec()), Some(tree.clone()));
        }
        assert_eq!(Frontier::of(3, vec![[0; 32]]), None);
    }

    #[test]
    fn proofs_are_those_of_the_reference() {
        let leaves = leaves();
        let expected = [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ];
        assert_eq!(hex(&inclusion_proof(&leaves, 0)), expected);
        assert_eq!(hex(&consistency_proof(&leaves, 1)), expected);
        assert_eq!(
            hex(&inclusion_proof(&leaves, 5)),
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
        assert_eq!(
            hex(&consistency_proof(&leaves, 6)),
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
        assert_eq!(
            hex(&consistency_proof(&leaves[..5], 2)),
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]
        );
    }

    #[test]
    fn proofs_hold_for_what_they_prove_and_nothing_else() {
        let leaves: Vec<Hash> = (0_u32..40).map(|n| leaf(&n.to_be_bytes())).collect();
        for size in 1..=leaves.len() {
            let tree = &leaves[..size];
            let whole = root(tree);
            for (index, own) in tree.iter().enumerate() {
                let proof = inclusion_proof(tree, index);
                let holds =
                    |leaf, index: usize, proof: &[Hash]| is_included(leaf, index as u64, size as u64, proof, &whole);
                assert!(holds(own, index, &proof), "{index} of {size}");
                assert!(!holds(&[9; 32], index, &proof));
                assert!((0..size + 2).all(|other| other == index || !holds(own, other, &proof)));
                assert!(proof.is_empty() || !holds(own, index, &proof[1..]));
                let longer = [&proof[..], &[[9; 32]]].concat();
                assert!(!holds(own, index, &longer));
            }
            for old in 0..=size {
                let older = root(&leaves[..old]);
                let proof = consistency_proof(tree, old);
                let new = (size as u64, &whole);
                assert!(is_consistent((old as u64, &older), new, &proof), "{old} to {size}");
                assert!(old == 0 || !is_consistent((old as u64, &[9; 32]), new, &proof));
                assert!(!is_consistent((size as u64 + 1, &older), new, &proof));
                if !proof.is_empty() {
                    assert!(!is_consistent((old as u64, &older), (size as u64, &[9; 32]), &proof));
                    assert!(!is_consistent((old as u64, &older), new, &proof[1..]));
                    let longer = [&proof[..], &[[9; 32]]].concat();
                    assert!(!is_consistent((old as u64, &older), new, &longer));
                }
            }
        }
    }
}
