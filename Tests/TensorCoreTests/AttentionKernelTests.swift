import CKernels
import Foundation
import TensorCore
import Testing

/// Blocks of attention against double arithmetic, at sizes with and without tails.
@Suite struct AttentionKernelTests {
    private static let tolerance = KernelTolerance(relative: 2e-5, absolute: 2e-5)

    private static let forwardKernels = available(
        martlet_attention_forward_portable, martlet_attention_forward_avx2, martlet_attention_forward_avx512,
        martlet_attention_forward_avx512_bf16)
    private static let backwardKernels = available(
        martlet_attention_backward_portable, martlet_attention_backward_avx2, martlet_attention_backward_avx512,
        martlet_attention_backward_avx512_bf16)

    /// Outputs of all heads and log-sum-exps.
    private func forward(
        _ test: AttentionCase, _ shape: martlet_attention, _ kernel: ForwardKernel
    ) -> (output: [Float], lse: [Float]) {
        var (shape, lse) = (shape, [Float]())
        let output = written(test.queries * test.heads * test.valueSize) { output in
            lse = written(test.heads * test.queries) { lse in
                withAligned(Int(martlet_attention_forward_scratch(&shape, Int64(test.heads)))) { scratch in
                    test.withBlock { block in
                        test.withOperands { k, v in
                            kernel(
                                &shape, block, Int64(test.heads), test.q, k, v, test.sinks, scratch, output, lse,
                                Int64(test.queries))
                        }
                    }
                }
            }
        }
        return (output, lse)
    }

    @Test(arguments: AttentionCase.all) func forward(test: AttentionCase) {
        let expected = test.reference()
        expectAgreement(
            Self.forwardKernels, Self.tolerance, expected: expected.output + expected.lse, "attention_forward \(test)"
        ) { kernel in
            let found = forward(test, test.shape, kernel)
            return found.output + found.lse
        }
    }

    @Test(arguments: AttentionCase.inFloat16, float16Copies(false, true))
    func inFloat16(test: AttentionCase, isBest: Bool) {
        let known = test.reference()
        var shape = test.shape
        if isBest { shape.halves = martlet_float16_block_avx512_fp16 } else { shape.halves = martlet_float16_block_portable }
        for kernel in Self.forwardKernels {
            let found = forward(test, shape, kernel)
            // Scores do not run in float16; outputs lie in ±1.
            #expect(zip(found.lse, known.lse).allSatisfy { abs(Double($0) - $1) < 2e-5 * (1 + abs($1)) })
            let worst = zip(found.output, known.output).map { abs(Double($0) - $1) }.max() ?? .infinity
            #expect(worst < 2e-3 && worst > 0, "worst error \(worst)")
        }
        for head in 0..<test.heads {
            let expected = test.referenceGradients(head: head, known).map { $0 - 1 }
            for kernel in Self.backwardKernels {
                let found = backward(test, shape, head, known, kernel)
                let (count, keys) = (test.queries * test.headSize, test.keys * test.headSize)
                for part in [0..<count, count..<count + keys, count + keys..<found.count] {
                    let size = part.reduce(0) { $0 + expected[$1] * expected[$1] }
                    let wrong = part.reduce(0) { $0 + pow(Double(found[$1]) - 1 - expected[$1], 2) }
                    // Where differences of like numbers are left, errors are those of what they are made of.
                    let allowed = 9e-6 * size + 3e-6 * Double(part.count)
                    #expect(wrong <= allowed, "\(part): \((wrong / size).squareRoot())")
                }
            }
        }
    }

    /// 1 plus the gradients of a head's queries, of keys and of values, one after another.
    private func backward(
        _ test: AttentionCase, _ shape: martlet_attention, _ head: Int, _ known: AttentionCase.Result,
        _ kernel: BackwardKernel
    ) -> [Float] {
        var shape = shape
        let (keyWidth, valueWidth) = ((test.headSize + 15) / 16 * 16, (test.valueSize + 15) / 16 * 16)
        let (lse, delta) = (known.lse(head).map { Float($0) }, known.delta(head).map { Float($0) })
        var (keys, values): ([Float], [Float]) = ([], [])
        let width = test.heads * test.headSize
        func ones(_ count: Int) -> [Float] { [Float](repeating: 1, count: count) }
        let queries = changed(ones(test.queries * width)) { dq in
            keys = changed(ones(test.keys * keyWidth)) { dk in
                values = changed(ones(test.keys * valueWidth)) { dv in
                    withAligned(Int(martlet_attention_backward_scratch(&shape))) { scratch in
                        test.q.withUnsafeBufferPointer { q in
                            test.dOutput.withUnsafeBufferPointer { dOutput in
                                test.withBlock { block in
                                    test.withOperands { k, v in
                                        kernel(
                                            &shape, block, q.baseAddress! + head * test.headSize, k, v,
                                            dOutput.baseAddress! + head * test.valueSize, lse, delta, scratch,
                                            dq + head * test.headSize, 1, dk + test.firstKey * keyWidth,
                                            dv + test.firstKey * valueWidth)
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        // Everything was added to ones; padding stays as it was.
        #expect(columns(keys, keyWidth, test.headSize..<keyWidth).allSatisfy { $0 == 1 })
        return columns(queries, width, head * test.headSize..<(head + 1) * test.headSize)
            + columns(keys, keyWidth, 0..<test.headSize) + columns(values, valueWidth, 0..<test.valueSize)
    }

    @Test(arguments: AttentionCase.all) func backward(test: AttentionCase) {
        let known = test.reference()
        for head in 0..<test.heads {
            expectAgreement(
                Self.backwardKernels, Self.tolerance, expected: test.referenceGradients(head: head, known),
                "attention_backward \(test)"
            ) { backward(test, test.shape, head, known, $0) }
        }
    }

    @Test(arguments: AttentionCase.all) func chunks(test: AttentionCase) {
        // The last query of the case alone, in chunks of unequal length.
        let known = test.reference()
        let (row, width) = (test.queries - 1, test.valueSize + 2)
        let visible = Int(test.first[row])..<Int(test.last[row])
        let middle = (visible.lowerBound + visible.upperBound + 1) / 2
        let pieces = [visible.lowerBound..<middle, middle..<visible.upperBound].filter { !$0.isEmpty }
        var expected: [Double] = []
        for head in 0..<test.heads {
            let at = (row * test.heads + head) * test.valueSize
            expected += known.output[at..<at + test.valueSize]
            expected.append(known.lse(head)[row])
        }
        let joins = available(
            martlet_attention_join_portable, martlet_attention_join_avx2, martlet_attention_join_avx512)
        let kernels = available(
            martlet_attention_chunk_portable, martlet_attention_chunk_avx2, martlet_attention_chunk_avx512)
        expectAgreement(
            Array(zip(kernels, joins)), Self.tolerance, expected: expected, "attention_chunk \(test)"
        ) { chunk, join in
            var shape = test.shape
            let parts = written(pieces.count * test.heads * width) { parts in
                withAligned(Int(martlet_attention_chunk_scratch(&shape, Int64(test.heads)))) { scratch in
                    for (index, piece) in pieces.enumerated() {
                        test.withRows(row, piece) { q, k, v in
                            chunk(
                                &shape, Int64(test.heads), Int64(piece.count), q, k, Int64(test.headSize), v,
                                Int64(test.valueSize), scratch, parts + index * test.heads * width, Int64(width))
                        }
                    }
                }
            }
            return (0..<test.heads).flatMap { head in
                written(test.valueSize + 1) { result in
                    join(
                        Int64(test.valueSize), Int64(pieces.count), Array(parts[(head * width)...]),
                        Int64(test.heads * width), test.sinks?[head] ?? -.infinity, result, result + test.valueSize)
                }
            }
        }
    }

    @Test(arguments: AttentionCase.all) func forwardOnTiles(test: AttentionCase) {
        let expected = test.reference().output
        var shape = test.shape
        for unit in TileUnit.usable {
            shape.tiles = unit.product
            for kernel in Self.forwardKernels {
                let worst = zip(forward(test, shape, kernel).output, expected).map { abs(Double($0) - $1) }.max() ?? .infinity
                // Only values are rounded, which lie in ±1.
                #expect(worst < 0x1p-9 + 1e-4 && worst > 0, "\(unit.name): worst error \(worst)")
            }
        }
    }

    @Test func scoresThatAreNoNumbersAreSeen() {
        var test = AttentionCase(queries: 20, keys: 20, headSize: 32, valueSize: 32, heads: 1)
        test.q[32 * 3] = .nan
        for isInFloat16 in [false, true] {
            for kernel in Self.forwardKernels {
                var shape = test.shape
                if isInFloat16 { shape.halves = martlet_float16_block }
                let output = forward(test, shape, kernel).output
                for row in 0..<20 {
                    let isNumber = output[row * 32..<(row + 1) * 32].allSatisfy(\.isFinite)
                    #expect(isNumber == (row != 3), "row \(row)")
                }
            }
        }
    }
}

private typealias ForwardKernel = (
    UnsafePointer<martlet_attention>?, UnsafePointer<martlet_attention_block>?, Int64, UnsafePointer<Float>?,
    UnsafePointer<martlet_attention_operand>?, UnsafePointer<martlet_attention_operand>?, UnsafePointer<Float>?,
    UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?, Int64
) -> Void
private typealias BackwardKernel = (
    UnsafePointer<martlet_attention>?, UnsafePointer<martlet_attention_block>?, UnsafePointer<Float>?,
    UnsafePointer<martlet_attention_operand>?, UnsafePointer<martlet_attention_operand>?, UnsafePointer<Float>?,
    UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?, Int32,
    UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?
) -> Void

/// Some columns of rows.
private func columns(_ values: [Float], _ width: Int, _ range: Range<Int>) -> [Float] {
    stride(from: 0, to: values.count, by: width).flatMap { values[$0 + range.lowerBound..<$0 + range.upperBound] }
}

/// Scratch as kernels want it, on a boundary of 64 bytes.
func withAligned(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> Void) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: count * 4, alignment: 64)
    defer { memory.deallocate() }
    let values = memory.bindMemory(to: Float.self, capacity: count)
    values.update(repeating: .nan, count: count)
    body(values)
}
