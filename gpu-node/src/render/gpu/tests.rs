//! Kernels of our own against libtorch's operators on the processors. Without a GPU there is nothing to compare, but NVRTC
//! can say whether they compile.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_void};
use std::path::PathBuf;

use atelier_proto::settings::{Layer, LossKind, Padding, Pooling};

use super::super::device::{self, DeviceChoice};
use super::super::lbfgs::Lbfgs;
use super::super::statistics::Moments;
use super::super::vgg::{Numbers, Vgg};
use super::super::{tf32, untrained};
use super::*;

/// The first GPU with the kernels loaded and TF32 forbidden; none where there is none.
fn gpu() -> Option<Device> {
    let Ok(selected) = device::select(DeviceChoice::Cuda(0)) else {
        eprintln!("skipped: needs a GPU");
        return None;
    };
    let device = selected.torch;
    load(device);
    tf32::allow_in_convolutions(false).unwrap();
    let maps = Tensor::zeros([1, PACK, 2, 2], (Kind::Float, device));
    assert!(serves(&maps), "the kernels are loaded");
    Some(device)
}

/// ‖found − expected‖ / ‖expected‖.
fn relative_l2(found: &Tensor, expected: &Tensor) -> f64 {
    let found = found.to_device(Device::Cpu).to_kind(Kind::Double);
    let expected = expected.to_kind(Kind::Double);
    assert_eq!(found.size(), expected.size());
    let distance = (found - &expected).norm().double_value(&[]);
    distance / expected.norm().double_value(&[])
}

fn layers() -> Vec<Layer> {
    [(1, 1), (1, 2), (2, 1), (3, 1), (4, 2)]
        .into_iter()
        .filter_map(|(block, index)| Layer::new(block, index))
        .collect()
}

/// Moments of every layer, and the gradient of their sum of squares with respect to the image.
fn moments_and_gradient(
    vgg: &Vgg,
    image: &Tensor,
    padding: Padding,
    loss: LossKind,
) -> (BTreeMap<Layer, Moments>, Tensor) {
    let image = image.detach().set_requires_grad(true);
    let features = vgg
        .features(&image, layers(), Pooling::Average, padding)
        .unwrap();
    let mut total = Tensor::zeros([], (Kind::Float, image.device()));
    let mut moments = BTreeMap::new();
    for (layer, features) in features {
        let (_, _, height, width) = features.size4().unwrap();
        let of_layer = Moments::of(&features, None, loss).unwrap();
        let positions = (height * width) as f64;
        total += (&of_layer.second / positions).square().mean(Kind::Float);
        if let Some(first) = &of_layer.first {
            total += (first / positions).square().mean(Kind::Float);
        }
        moments.insert(layer, of_layer);
    }
    let gradient = Tensor::run_backward(&[&total], &[&image], false, false);
    (moments, gradient.into_iter().next().unwrap())
}

#[test]
fn a_gpu_has_the_moments_and_the_gradient_of_the_processors() {
    let Some(device) = gpu() else { return };
    let weights = untrained::calibrated(1).unwrap();
    tch::manual_seed(5);
    // Sides that are odd at one block or another.
    let image = Tensor::rand([2, 3, 45, 70], (Kind::Float, Device::Cpu));
    let load = |device, convolutions| {
        let numbers = Numbers {
            convolutions,
            channels_last: true,
        };
        Vgg::load(&weights, device, numbers).unwrap()
    };
    let expected = load(Device::Cpu, Kind::Float);
    for (kind, error_max) in [(Kind::Float, 1e-4), (Kind::BFloat16, 6e-2)] {
        let ours = load(device, kind);
        for padding in [Padding::Zero, Padding::Replicate] {
            for loss in [LossKind::Gatys, LossKind::Relative] {
                let (moments, gradient) =
                    moments_and_gradient(&ours, &image.to_device(device), padding, loss);
                let (expected, expected_gradient) =
                    moments_and_gradient(&expected, &image, padding, loss);
                for (layer, moments) in &moments {
                    let error = relative_l2(&moments.second, &expected[layer].second);
                    assert!(
                        error < error_max,
                        "{error} at {layer}, {kind:?}, {padding:?}"
                    );
                    assert_eq!(moments.first.is_some(), loss == LossKind::Relative);
                    if let (Some(first), Some(expected)) = (&moments.first, &expected[layer].first)
                    {
                        let error = relative_l2(first, expected);
                        assert!(
                            error < error_max,
                            "{error} at {layer}, {kind:?}, {padding:?}"
                        );
                    }
                }
                let error = relative_l2(&gradient, &expected_gradient);
                eprintln!("gradient {error:e}, {kind:?}, {padding:?}, {loss:?}");
                assert!(
                    error < error_max,
                    "gradient: {error}, {kind:?}, {padding:?}"
                );
            }
        }
    }
}

/// NVRTC needs no GPU. `ATELIER_TEST_NVRTC` names the folder of its libraries; `tests/run.sh` gets them.
#[test]
#[expect(
    unsafe_code,
    reason = "the signatures are those of NVRTC's documentation"
)]
fn the_kernels_compile_for_old_and_new_gpus() {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    type Create = unsafe extern "C" fn(
        *mut *mut c_void,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int;
    type Compile = unsafe extern "C" fn(*mut c_void, c_int, *const *const c_char) -> c_int;
    type LogSize = unsafe extern "C" fn(*mut c_void, *mut usize) -> c_int;
    type Log = unsafe extern "C" fn(*mut c_void, *mut c_char) -> c_int;
    let Some(folder) = std::env::var_os("ATELIER_TEST_NVRTC").map(PathBuf::from) else {
        eprintln!("SKIPPED: no ATELIER_TEST_NVRTC");
        return;
    };
    // SAFETY: the functions have these signatures, and every pointer outlives its call.
    unsafe {
        // The first is found by the second, which asks for it by name, once it is open.
        let [_builtins, library] = ["libnvrtc-builtins.so.13.0", "libnvrtc.so.13"]
            .map(|name| Library::open(Some(folder.join(name)), RTLD_NOW | RTLD_GLOBAL).unwrap());
        let create = library.get::<Create>(b"nvrtcCreateProgram\0").unwrap();
        let compile = library.get::<Compile>(b"nvrtcCompileProgram\0").unwrap();
        let log_size = library.get::<LogSize>(b"nvrtcGetProgramLogSize\0").unwrap();
        let log = library.get::<Log>(b"nvrtcGetProgramLog\0").unwrap();
        let source = CString::new(SOURCE).unwrap();
        for architecture in [c"--gpu-architecture=sm_75", c"--gpu-architecture=sm_90"] {
            let mut program = ptr::null_mut();
            let name = c"kernels.cu".as_ptr();
            let created = create(
                &raw mut program,
                source.as_ptr(),
                name,
                0,
                ptr::null(),
                ptr::null(),
            );
            assert_eq!(created, 0);
            let options = [architecture.as_ptr(), c"--std=c++17".as_ptr()];
            let compiled = compile(program, 2, options.as_ptr());
            let mut bytes = 0;
            assert_eq!(log_size(program, &raw mut bytes), 0);
            let mut said = vec![0_u8; bytes];
            log(program, said.as_mut_ptr().cast());
            assert_eq!(compiled, 0, "{}", String::from_utf8_lossy(&said));
        }
    }
}

#[test]
fn a_gpu_takes_the_steps_of_the_processors() {
    const VALUES: i64 = 5_003;
    const PAIRS: u32 = 4;
    let Some(device) = gpu() else { return };
    tch::manual_seed(6);
    // A bowl for each of two rows, of different curvature in each direction.
    let curvature = Tensor::rand([2, VALUES], (Kind::Float, Device::Cpu)) * 9.0 + 1.0;
    let start = Tensor::randn([2, VALUES], (Kind::Float, Device::Cpu));
    let descend = |device: Device| {
        let curvature = curvature.to_device(device);
        let mut images = start.to_device(device);
        let mut lbfgs = Lbfgs::new(&images, PAIRS, 10.0).unwrap();
        let mut all = Vec::new();
        for number in 0..9 {
            if number == 6 {
                // The second row begins anew, and what is known is taken elsewhere.
                let second = Tensor::from_slice(&[false, true])
                    .view([2, 1])
                    .to_device(device);
                lbfgs.begin_anew(&second).unwrap();
            }
            if number == 7 {
                lbfgs.keep(&[1, 0]).unwrap();
                images = images.index_select(0, &Tensor::from_slice(&[1_i64, 0]).to_device(device));
            }
            let curvature = if number >= 7 {
                curvature.flip([0])
            } else {
                curvature.shallow_clone()
            };
            images = lbfgs.step(&images, &(&images * curvature)).unwrap();
            all.push(images.to_device(Device::Cpu));
        }
        all
    };
    let (found, expected) = (descend(device), descend(Device::Cpu));
    for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = relative_l2(found, expected);
        eprintln!("step {number}: {error:e}");
        assert!(error < 1e-3, "step {number}: {error}");
    }
    assert!(expected[8].norm().double_value(&[]) < 0.5 * expected[0].norm().double_value(&[]));
}
