// swift-tools-version: 6.1
import PackageDescription

let swift: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let real = Target.Dependency.product(name: "RealModule", package: "swift-numerics")
let sqlite = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let yaml = Target.Dependency.product(name: "Yams", package: "Yams")

let optimised: [SwiftSetting] = [.unsafeFlags(["-O"])]

func library(
    _ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = [], settings: [SwiftSetting] = []
) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: swift + settings)
}

func tests(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], settings: [SwiftSetting] = []
) -> Target {
    .testTarget(
        name: name + "Tests", dependencies: [.byName(name: name), "TestSupport"] + dependencies, exclude: exclude,
        swiftSettings: swift + settings)
}

let package = Package(
    name: "martlet",
    products: [
        .executable(name: "martlet", targets: ["Command"]),
        .library(
            name: "Martlet",
            targets: [
                "IR", "Operators", "Passes", "Execution", "Training", "Spaces", "ONNXFormat", "CodeGeneration",
                "Hardware", "Search",
            ]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-numerics", from: "1.0.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.0.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
    ],
    targets: [
        // Kernels are always optimised: a debug build of the tests must still train. Never fast-math.
        .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3", "-ffp-contract=fast", "-Wall", "-Wextra"])]),
        .target(
            name: "COpenBLAS", dependencies: ["CKernels", "OpenBLAS"],
            cSettings: [.unsafeFlags(["-O3", "-Wall", "-Wextra"])]),
        .systemLibrary(name: "OpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .target(
            name: "CONNX", dependencies: ["ProtobufC"], exclude: ["README.md"],
            cSettings: [.unsafeFlags(["-O2", "-w"])]),
        .systemLibrary(name: "ProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"])]),
        .target(
            name: "CONNXChecker", cxxSettings: [.unsafeFlags(["-O1", "-w"])],
            linkerSettings: [.linkedLibrary("onnx"), .linkedLibrary("onnx_proto"), .linkedLibrary("protobuf")]),
        library("IR", ["CKernels", real]),
        library("Operators", ["IR", "CKernels", real]),
        library("Passes", ["IR", "Operators"]),
        library("Execution", ["IR", "Operators", "Passes", "CKernels", "COpenBLAS"]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        library("Training", ["IR", "Operators", "Passes", "Execution", "CKernels", "CZlib", real]),
        library("Spaces", ["IR", "Operators", yaml], resources: [.embedInCode("ModelFiles")]),
        library("ONNXFormat", ["IR", "Operators", "Passes", "CONNX", "CONNXChecker"]),
        library("CodeGeneration", ["IR", "Operators", "Passes"], resources: [.embedInCode("C")]),
        library(
            "Hardware", ["IR", "Operators", "Passes", "CodeGeneration", "ONNXFormat", sqlite, yaml],
            resources: [.embedInCode("Harness"), .embedInCode("TargetFiles")]),
        // Evolution and the estimators' Monte Carlo tests are loops over numbers: always optimised, as the kernels are.
        library(
            "Search",
            [
                "IR", "Operators", "Passes", real, "Spaces", "Training", "Hardware", "Execution", "ONNXFormat",
                "CodeGeneration",
            ],
            settings: optimised),
        .executableTarget(
            name: "Command",
            dependencies: [
                "IR", "Operators", "Passes", "Spaces", "Search", "Hardware", "ONNXFormat", "CodeGeneration",
                argumentParser, logging,
            ],
            swiftSettings: swift),
        .target(
            name: "TestSupport", dependencies: ["IR", "Operators", "Passes"], path: "Tests/TestSupport",
            swiftSettings: swift),
        tests("IR", ["Operators"]),
        tests("Operators", ["CKernels"]),
        tests("Passes", [], exclude: ["Golden"]),
        tests("Execution", []),
        tests("Training", []),
        tests("Spaces", []),
        tests("ONNXFormat", ["Execution"]),
        tests("CodeGeneration", ["Hardware", "Execution"], exclude: ["Golden"]),
        tests("Hardware", []),
        tests("Search", [], settings: optimised),
        .executableTarget(
            name: "Study", dependencies: ["IR", "Search", "Spaces", "Training", "Hardware"], swiftSettings: swift),
        .executableTarget(
            name: "TrainingBenchmark", dependencies: ["IR", "Operators", "Passes", "Execution", "Spaces", "Training"],
            swiftSettings: swift),
        .testTarget(
            name: "CommandTests", dependencies: ["Command", "TestSupport", "ONNXFormat"], swiftSettings: swift),
    ],
    swiftLanguageModes: [.v6]
)

// libFuzzer brings its own main function, so the target exists only where `make fuzz` asks for it.
if Context.environment["MARTLET_FUZZ"] != nil {
    package.products.append(.executable(name: "fuzz-onnx", targets: ["Fuzz"]))
    package.targets.append(
        .executableTarget(
            name: "Fuzz", dependencies: ["IR", "Operators", "ONNXFormat"],
            swiftSettings: swift + [.unsafeFlags(["-parse-as-library"])]))
}
