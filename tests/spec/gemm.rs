//! Sweeps of GEMMs.

use crate::{G3, G4, G5, HET1, P1, S1, but, dims, entry, experiment, refused, with};
use night_sweep::workload::operation::{Gemm, Operation};
use night_sweep::workload::{GemmLayout, Precision};
use serde_json::json;

#[test]
fn gemms_are_stored_and_repeated_as_the_spec_says() {
    for (keys, id, legend) in [
        (G3, "G3/M4096_N4096_fp16/K107", "fp16"),
        (G4, "G4/M1024_K4096_fp16/N107", "M=1024 fp16"),
        (G5, "G5/K4096_N4096_fp16/M107", "fp16"),
    ] {
        let of = |lines: &str, suffix: &str| {
            let id = id.replace("fp16", &format!("fp16{suffix}"));
            let cases = experiment(&format!("{keys}\n{lines}")).cases();
            let case = cases.into_iter().find(|case| case.id == id);
            case.unwrap_or_else(|| panic!("no case {id}"))
        };
        let plain = of("", "");
        assert_eq!((&*plain.curve, plain.labels.len()), (legend, 0));
        assert_eq!(of("layout: nn\nbatch: 1", ""), plain, "published ids stay");
        for layout in GemmLayout::ALL.into_iter().filter(|layout| *layout != GemmLayout::Nn) {
            let name = layout.name();
            let case = of(&format!("layout: {name}"), &format!("_{name}"));
            assert_eq!(case.curve, format!("{legend} {name}"));
            assert_eq!(json!(case.labels), json!({"layout": name}));
            let [Operation::Gemm(gemm), Operation::Gemm(dense)] =
                [&case.operation, &plain.operation]
            else {
                panic!("another operation")
            };
            assert_eq!(*gemm, Gemm { layout, ..*dense });
        }
        let all = "layout: nt\nbatch: 128\nprovider: pytorch";
        let case = of(all, "_nt_b128_pytorch");
        assert_eq!(case.curve, format!("{legend} nt, batch 128"));
        assert_eq!(json!(case.labels), json!({"layout": "nt", "batch": 128}));
        let [gemm] = case.operation.gemms() else { panic!("one GEMM") };
        assert_eq!((gemm.layout, gemm.batch), (GemmLayout::Nt, 128));
        assert_eq!(case.operation.flops(), 128.0 * plain.operation.flops());

        let place = |column: usize| format!("{}:{column}", 3 + keys.lines().count());
        let says = "X1_test.layout: \"nc\" .. allowed are nn, nt, tn, tt";
        refused(with(keys, "layout: nc"), &place(13), says);
        let says = "X1_test.batch: expected an integer from 1 .. found integer 0";
        refused(with(keys, "batch: 0"), &place(12), says);
        let says = "a tensor of 1073741824 x .. is too large";
        refused(with(keys, "batch: 1073741824"), "3:5", says);
    }
}

#[test]
fn gemms_have_more_dtypes_than_attention() {
    let g3 = |keys: &str| {
        let shape = "shape: {M: 16, N: 32}";
        format!("type: gemm_k_dense\n{keys}\n{shape}\nK_range: [15, 17]")
    };
    let cases = |keys: &str| experiment(&g3(keys)).cases();
    let all = cases("dtypes: [fp16, bf16, tf32, fp32]");
    let ids: Vec<&str> = all.iter().step_by(3).map(|case| case.id.as_str()).collect();
    let series = ["fp16", "bf16", "tf32", "fp32"].map(|name| format!("G3/M16_N32_{name}/K15"));
    assert_eq!(ids, series);
    assert_eq!(all[6].dtype, Precision::Tf32);

    // K of 15 and 17 are padded in the launch, 16 is not.
    let fp8 = cases("dtypes: [fp8_e4m3]\nlayout: nt");
    let ids: Vec<&str> = fp8.iter().map(|case| case.id.as_str()).collect();
    let id = |variant: &str, k| format!("G3/M16_N32_fp8_e4m3_nt{variant}/K{k}");
    let padded = "_on_the_fly";
    assert_eq!(ids, [id("", 15), id(padded, 15), id("", 16), id("", 17), id(padded, 17)]);
    let Operation::GemmOnTheFly(gemm) = fp8[4].operation else { panic!("{:?}", fp8[4]) };
    let (shape, data) = (gemm.shape, gemm.data);
    assert_eq!([shape.m, shape.n, shape.k, data.n, data.k], [16, 32, 32, 32, 17]);
    let batched = cases("dtypes: [fp8_e4m3]\nlayout: nt\nbatch: 4");
    assert!(batched.iter().all(|case| case.variant.is_none()), "nothing pads a batch");

    for layout in ["nn", "tn", "tt"] {
        let keys = format!("dtypes: [fp16, fp8_e4m3]\nlayout: {layout}");
        let says = format!("dtypes .. fp8_e4m3 needs `layout: nt`, and the layout is {layout}");
        refused(with(&g3(&keys), "trials: 1"), "3:5", &says);
    }
    let refused_by = |keys: &str, dtypes: &str, at: &str, says: &str| {
        refused(with(&keys.replace("[fp16]", dtypes), "trials: 1"), at, says);
    };
    refused_by(&g3("dtypes: [fp16]"), "[fp64]", "4:14", "dtypes[0]: \"fp64\" .. fp8_e4m3");
    refused(with(S1, "dtype: tf32"), "6:12", "X1_test.dtype: \"tf32\" .. allowed are .. bf16");
    refused(with(P1, "dtype: fp8_e4m3"), "8:12", "X1_test.dtype .. allowed are .. bf16");
    refused(with(HET1, "dtype: fp8_e4m3"), "3:5", "dtype .. fp8_e4m3 needs `layout: nt`");
    let grouped = experiment(&format!("{HET1}\ndtype: tf32")).cases();
    assert!(grouped.iter().all(|case| case.dtype == Precision::Tf32));
}

#[test]
fn one_of_a_range_and_a_list() {
    assert_eq!(dims(&experiment(&G3.replace("[64, 160]", "[5637, 5637]"))), [5637]);
    let listed = &G3.replace("K_range: [64, 160]", "K_values: [4872, 128, 5637]");
    assert_eq!(dims(&experiment(listed)), [4872, 128, 5637]);
    let ids: Vec<String> = experiment(listed).cases().into_iter().map(|case| case.id).collect();
    assert_eq!(ids[2], "G3/M4096_N4096_fp16/K5637");
    refused(but(listed, "5637", "128"), "6:27", "K_values[2]: item 3 is the same as item 2");
    refused(but(listed, "[4872, 128, 5637]", "[]"), "6:15", "K_values: the list is empty");
    let neither = G3.replace("K_range: [64, 160]", "");
    refused(
        entry(&neither),
        "3:5",
        "X1_test: the key \"K_range\" is missing; \"K_values\", a list, may",
    );
    refused(with(G3, "K_values: [8]"), "3:5", "X1_test.K_values: K_range is given too: give one");
    refused(with(listed, "K_step_2: 2"), "3:5", "X1_test.K_step_2: it is for K_range: K_values");
    let merged = format!("{G3}\nK_range: null\nK_values: [8]").replace("K_range: [64, 160]\n", "");
    assert_eq!(dims(&experiment(&merged)), [8]);
    refused(with(G3, "K_vales: [8]"), "7:5", "X1_test.K_vales: .. did you mean \"K_values\"?");
}
