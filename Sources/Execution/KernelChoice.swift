import COpenBLAS
import IR
import Operators

/// The kernel that runs a node of the given types: the operator's own, or a fast path of this module.
func chooseKernel(_ op: any Operator, _ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
    if let product = op as? MatMul, let call = blasProduct(product, x, y[0]) { return call }
    return op.kernel(x, y)
}

/// A matrix product by OpenBLAS, where the batch of each operand is that of the result, or one matrix.
private func blasProduct(_ op: MatMul, _ x: [TensorType], _ y: TensorType) -> KernelCall? {
    guard y.element == .f32, let d = try? op.dimensions(x) else { return nil }
    var batches = d.batch.reduce(1, *)
    let own = x.map { $0.shape.dropLast(2).reduce(1, *) }
    guard own.allSatisfy({ $0 == batches || $0 == 1 }) else { return nil }
    var m = d.m
    if own[1] == 1 && own[0] == batches && !op.transposesA {
        // One matrix for all rows of all batches.
        m *= batches
        batches = 1
    }
    let integers = [
        batches, m, d.n, d.k, op.transposesA ? 1 : 0, op.transposesB ? 1 : 0, own[0] > 1 && batches > 1 ? 1 : 0,
        own[1] > 1 && batches > 1 ? 1 : 0,
    ]
    return KernelCall(martlet_blas_matmul, integers: integers, phases: 2) { integers, parts in
        martlet_blas_matmul_scratch(integers, Int32(parts))
    }
}
