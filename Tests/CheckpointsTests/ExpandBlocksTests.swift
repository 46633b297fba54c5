import Checkpoints
import Foundation
import TensorCore
import Testing

private let quantized: [StoredFormat] = StoredFormat.allCases.filter { $0 != .float32 }

/// Recorded blocks of every format expand to the recorded floats, bit for bit.
@Test(arguments: quantized)
func expandsRecordedBlocksExactly(format: StoredFormat) throws {
    let file = try SafetensorsFile(fixture("gguf_blocks.safetensors"))
    let bytes = try file.entry("\(format.rawValue).bytes")
    let expected = try file.tensor("\(format.rawValue).dequant")
    let tensor = try StoredTensor(name: "t", shape: expected.shape, format: format, bytes: bytes.bytes)
    #expect(tensor.expandAll().map(\.bitPattern) == expected.expandAll().map(\.bitPattern))
}
