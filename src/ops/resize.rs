//! Padding and cutting of matrices on the host, as `kernels/pad.cu` does them on a GPU.

use crate::workload::HostArray;
use rayon::prelude::*;

/// Elements that one task copies: some microseconds of work.
const CHUNK: usize = 1 << 15;

/// Copies a row-major matrix into one of another size, in rows and columns: what `to` has beyond
/// `from` becomes zero, what it lacks is left out.
pub fn resize<T: Copy + Default + Send + Sync>(
    from: &[T],
    from_size: [usize; 2],
    to: &mut [T],
    to_size: [usize; 2],
) {
    let ([from_rows, from_columns], [to_rows, to_columns]) = (from_size, to_size);
    assert_eq!((from.len(), to.len()), (from_rows * from_columns, to_rows * to_columns));
    if to.is_empty() {
        return;
    }
    let kept = from_columns.min(to_columns);
    let rows_each = (CHUNK / to_columns).max(1);
    to.par_chunks_mut(rows_each * to_columns).enumerate().for_each(|(chunk, rows)| {
        for (row, to) in (chunk * rows_each..).zip(rows.chunks_mut(to_columns)) {
            let (data, padding) = to.split_at_mut(if row < from_rows { kept } else { 0 });
            data.copy_from_slice(&from[row.min(from_rows) * from_columns..][..data.len()]);
            padding.fill(T::default());
        }
    });
}

/// [`resize`] of a matrix of any type. Panics if the two are not of one.
pub fn resize_array(
    from: &HostArray,
    from_size: [usize; 2],
    to: &mut HostArray,
    to_size: [usize; 2],
) {
    match (from, to) {
        (HostArray::Half(_, from), HostArray::Half(_, to)) => resize(from, from_size, to, to_size),
        (HostArray::Single(from), HostArray::Single(to)) => resize(from, from_size, to, to_size),
        (HostArray::E4m3(from), HostArray::E4m3(to)) => resize(from, from_size, to, to_size),
        (from, to) => panic!("{:?} is not {:?}", from.element(), to.element()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn inside_is_copied_and_outside_is_zero(
            from_size in prop::array::uniform2(1..70usize),
            to_size in prop::array::uniform2(1..70usize),
        ) {
            let from: Vec<u16> = (1..=from_size[0] * from_size[1]).map(|i| i as u16).collect();
            let mut to = vec![u16::MAX; to_size[0] * to_size[1]];
            resize(&from, from_size, &mut to, to_size);
            for (at, &element) in to.iter().enumerate() {
                let (row, column) = (at / to_size[1], at % to_size[1]);
                let is_inside = row < from_size[0] && column < from_size[1];
                let expected = if is_inside { from[row * from_size[1] + column] } else { 0 };
                prop_assert_eq!(element, expected);
            }
        }
    }

    #[test]
    fn many_chunks_are_as_one() {
        let size = [3000, 107];
        let from: Vec<u16> = (0..3000 * 107).map(|i| i as u16).collect();
        let (mut padded, mut back) = (vec![7; 3000 * 112], vec![7; 3000 * 107]);
        resize(&from, size, &mut padded, [3000, 112]);
        assert!(padded.chunks(112).all(|row| row[107..].iter().all(|&bits| bits == 0)));
        resize(&padded, [3000, 112], &mut back, size);
        assert_eq!(back, from);
    }
}
