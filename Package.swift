// swift-tools-version: 6.1
import Foundation
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// A library target of ours; `folder` is the target's name.
func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// The tests of one target, with the fixtures that stand beside them.
func tests(_ name: String, _ dependencies: [Target.Dependency], fixtures: Bool = false) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, exclude: fixtures ? ["Fixtures"] : [], swiftSettings: settings)
}

let package = Package(
    name: "Martlet",
    products: [
        .executable(name: "martlet", targets: ["martlet"]),
        .library(name: "TensorCore", targets: ["TensorCore"]),
        .library(name: "Autograd", targets: ["Autograd"]),
        .library(name: "Layers", targets: ["Layers"]),
        .library(name: "Checkpoints", targets: ["Checkpoints"]),
        .library(name: "Models", targets: ["Models"]),
        .library(name: "Tokenization", targets: ["Tokenization"]),
        .library(name: "Datasets", targets: ["Datasets"]),
        .library(name: "Training", targets: ["Training"]),
        .library(name: "Recipes", targets: ["Recipes"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", .upToNextMinor(from: "1.8.2")),
        .package(url: "https://github.com/apple/swift-crypto", .upToNextMinor(from: "4.5.2")),
        .package(url: "https://github.com/jpsim/Yams", .upToNextMinor(from: "6.2.2")),
    ],
    targets: [
        .target(name: "CKernels"),
        .target(name: "COpenBLAS", linkerSettings: [.linkedLibrary("dl")]),
        .systemLibrary(name: "CCompression", providers: [.apt(["zlib1g-dev", "libzstd-dev"])]),
        library("TensorCore", ["CKernels", "COpenBLAS"]),
        library("Autograd", ["TensorCore"]),
        library("Layers", ["Autograd", "TensorCore"]),
        library("Checkpoints", ["TensorCore", .product(name: "Crypto", package: "swift-crypto")]),
        library("Models", ["Layers", "Autograd", "TensorCore", "Checkpoints"]),
        library("Tokenization", []),
        library("Datasets", ["Tokenization", "CCompression"]),
        library("Training", ["Models", "Layers", "Autograd", "TensorCore", "Checkpoints", "Datasets"]),
        library(
            "Recipes",
            [
                "Training", "Models", "Layers", "Autograd", "TensorCore", "Checkpoints", "Datasets", "Tokenization",
                .product(name: "Yams", package: "Yams"), .product(name: "Crypto", package: "swift-crypto"),
            ]),
        .executableTarget(
            name: "martlet",
            dependencies: [
                "Recipes", "Training", "Models", "Layers", "Autograd", "TensorCore", "Checkpoints", "Datasets",
                "Tokenization", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),
        tests("TensorCoreTests", ["TensorCore", "CKernels"]),
        tests("AutogradTests", ["Autograd", "TensorCore"]),
        tests("LayersTests", ["Layers", "Autograd", "TensorCore"]),
        tests("CheckpointsTests", ["Checkpoints", "TensorCore"], fixtures: true),
        tests("ModelsTests", ["Models", "Layers", "Autograd", "TensorCore", "Checkpoints"], fixtures: true),
        tests("TokenizationTests", ["Tokenization"], fixtures: true),
        tests("DatasetsTests", ["Datasets", "Tokenization", "CCompression"], fixtures: true),
        tests("TrainingTests", ["Training", "Models", "Layers", "Autograd", "TensorCore", "Checkpoints", "Datasets"]),
        tests(
            "RecipesTests",
            [
                "Recipes", "Training", "Models", "Layers", "Autograd", "TensorCore", "Checkpoints", "Datasets",
                "Tokenization",
            ]),
        // The README's program. Without package access it sees what other packages see.
        .executableTarget(
            name: "LibraryExample",
            dependencies: [
                "Recipes", "Training", "Models", "Layers", "Autograd", "TensorCore", "Datasets", "Tokenization",
            ],
            path: "Tests/LibraryExample", packageAccess: false, swiftSettings: settings),
        tests(
            "MartletTests",
            ["martlet", "LibraryExample", "Recipes", "Models", "Layers", "Autograd", "TensorCore", "Checkpoints"],
            fixtures: true),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c17
)

// Only for Tests/Scripts/fuzz.sh, which builds everything with the compiler's instrumentation.
if ProcessInfo.processInfo.environment["MARTLET_FUZZING"] != nil {
    package.targets.append(
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "Recipes", "Training", "Models", "Layers", "Autograd", "TensorCore", "Checkpoints", "Datasets",
                "Tokenization",
            ],
            path: "Tests/Fuzz", exclude: ["Dictionaries"], swiftSettings: settings))
}
