import Layers
import TensorCore

/// Linear layers named as those of a two-layer model, with sizes that differ from layer to layer.
func namedLayers(on compute: Compute) -> [Linear] {
    (0..<2).flatMap { layer -> [Linear] in
        let parts: [(String, ModuleRole, Int, Int)] = [
            ("self_attn.q_proj", .attention, 12, 9), ("self_attn.v_proj", .attention, 6, 9),
            ("self_attn.o_proj", .attention, 9, 12), ("mlp.up_proj", .mlp, 20, 9), ("mlp.down_proj", .mlp, 9, 20),
        ]
        return parts.map { name, role, outputs, inputs in
            Linear(
                name: "model.layers.\(layer).\(name)", role: role, weight: .dense(compute.zeros([outputs, inputs])))
        }
    }
}
