import Search

// Differentiable searches beside random selection and beside themselves without their own mechanism. Searches whose rows
// are there are not run again; NAMES picks some. A '-' in the place of a number stands for the usual one.
//
//   Study exact OUT [SEEDS]                                           estimators and schedules without their mechanism
//   Study planted OUT [SEEDS] [STEPS] [NAMES…]                        a planted architecture is to be found again
//   Study regularisers OUT [SEEDS] [FIRST] [STEPS] [ACCELERATION]     that with edges that compete, and with what pulls
//                                                                     PRIME to a discrete choice
//   Study picks OUT docs/micro-125.jsonl [SEEDS] [STEPS] [NAMES…]     the small benchmark, judged by its table
//   Study cells OUT TABLE.csv CIFAR_FOLDER [SEEDS] [FIRST] [STEPS] [ACCELERATION] [SIDE] [IMAGES] [NAMES…]
//                                                                     NAS-Bench-201, judged by the published table
//   Study implicit OUT CIFAR_FOLDER [SEEDS] [FIRST] [STEPS] [ACCELERATION] [SIDE] [IMAGES]
//                                                                     what the implicit term adds while they search
//   Study objective OUT CIFAR_FOLDER [SEEDS] [FIRST] [STEPS] [-] [SIDE] [IMAGES]
//                                                                     what the searches' objective itself prefers there

/// Runs the study that the arguments name; `false` when they name none of these.
func runRecipeStudy(_ arguments: [String]) throws -> Bool {
    func number(_ index: Int, _ standard: Int) -> Int {
        arguments.count > index ? Int(arguments[index]) ?? standard : standard
    }
    switch arguments.count > 2 ? arguments[1] : "" {
    case "exact": try exactStudy(arguments[2], seeds: number(3, 5))
    case "planted":
        try plantedStudy(
            arguments[2], Variant.chosen(Array(arguments.dropFirst(5))), seeds: number(3, 6), steps: number(4, 1000))
    case "regularisers":
        try plantedStudy(
            arguments[2], Variant.regularisers, in: PlantedTask.competing, seeds: number(3, 10),
            first: UInt64(number(4, 1)), steps: number(5, 3300),
            acceleration: Double(arguments.dropFirst(6).first ?? "") ?? 60)
    case "cells" where arguments.count > 4:
        try cellStudy(
            arguments[2], table: arguments[3], images: arguments[4], CellSettings(arguments, from: 5),
            only: Array(arguments.dropFirst(11)))
    case "implicit" where arguments.count > 3:
        try implicitStudy(arguments[2], images: arguments[3], CellSettings(arguments, from: 4))
    case "objective" where arguments.count > 3:
        try objectiveStudy(arguments[2], images: arguments[3], CellSettings(arguments, from: 4))
    case "picks" where arguments.count > 3:
        try pickStudy(
            arguments[2], table: arguments[3], seeds: number(4, 5), steps: number(5, 500),
            only: Array(arguments.dropFirst(6)))
    default: return false
    }
    return true
}
