import CKernels
import Foundation
import Testing

/// Blocks of attention against double arithmetic, at sizes with and without tails.
@Suite struct AttentionKernelTests {
    private static let tolerance = KernelTolerance(relative: 2e-5, absolute: 2e-5)

    @Test(arguments: AttentionCase.all) func forward(test: AttentionCase) {
        let expected = test.reference()
        expectAgreement(
            available(
                martlet_attention_forward_portable, martlet_attention_forward_avx2, martlet_attention_forward_avx512,
                martlet_attention_forward_avx512_bf16),
            Self.tolerance, expected: expected.output + expected.lse, "attention_forward \(test)"
        ) { kernel in
            var shape = test.shape
            let (count, scratch) = (test.queries, Int(martlet_attention_forward_scratch(&shape, Int64(test.heads))))
            var lse: [Float] = []
            let output = written(count * test.heads * test.valueSize) { output in
                lse = written(test.heads * count) { lse in
                    withAligned(scratch) { scratch in
                        test.withBlock { block in
                            test.withOperands { k, v in
                                kernel(
                                    &shape, block, Int64(test.heads), test.q, k, v, test.sinks, scratch, output, lse,
                                    Int64(count))
                            }
                        }
                    }
                }
            }
            return output + lse
        }
    }

    @Test(arguments: AttentionCase.all) func backward(test: AttentionCase) {
        let known = test.reference()
        let (keyWidth, valueWidth) = ((test.headSize + 15) / 16 * 16, (test.valueSize + 15) / 16 * 16)
        for head in 0..<test.heads {
            let expected = test.referenceGradients(head: head, known)
            expectAgreement(
                available(
                    martlet_attention_backward_portable, martlet_attention_backward_avx2,
                    martlet_attention_backward_avx512, martlet_attention_backward_avx512_bf16),
                Self.tolerance, expected: expected, "attention_backward \(test)"
            ) { kernel in
                var shape = test.shape
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
        for kernel in available(
            martlet_attention_forward_portable, martlet_attention_forward_avx2, martlet_attention_forward_avx512,
            martlet_attention_forward_avx512_bf16)
        {
            var shape = test.shape
            shape.tiles = martlet_tile_product_emulated
            let output = written(test.queries * test.heads * test.valueSize) { output in
                _ = written(test.heads * test.queries) { lse in
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
            let worst = zip(output, expected).map { abs(Double($0) - $1) }.max() ?? .infinity
            // Only values are rounded, which lie in ±1.
            #expect(worst < 0x1p-9 + 1e-4 && worst > 0, "worst error \(worst)")
        }
    }

    @Test func scoresThatAreNoNumbersAreSeen() {
        for kernel in available(
            martlet_attention_forward_portable, martlet_attention_forward_avx2, martlet_attention_forward_avx512,
            martlet_attention_forward_avx512_bf16)
        {
            let test = AttentionCase(queries: 20, keys: 20, headSize: 16, valueSize: 16, heads: 1)
            var (shape, q) = (test.shape, test.q)
            q[16 * 3] = .nan
            let output = written(20 * 16) { output in
                _ = written(20) { lse in
                    withAligned(Int(martlet_attention_forward_scratch(&shape, 1))) { scratch in
                        test.withBlock { block in
                            test.withOperands { kernel(&shape, block, 1, q, $0, $1, nil, scratch, output, lse, 20) }
                        }
                    }
                }
            }
            for row in 0..<20 {
                let isNumber = output[row * 16..<(row + 1) * 16].allSatisfy(\.isFinite)
                #expect(isNumber == (row != 3), "row \(row)")
            }
        }
    }
}

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
