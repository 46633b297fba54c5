import Foundation
import Models
import Testing

/// What sets SmolLM3 apart; logits, gradients and so on are checked with those of all recorded models.
@Suite struct SmolLM3Tests {
    @Test(arguments: ["config.json", "config.v5.json"]) func layersWithoutPositions(config: String) throws {
        try expectAblation("smollm3", "all_rotated", config: config) { $0["no_rope_layers"] = [1, 1, 1, 1] }
    }

    /// Without a list, every so many layers have no positions, and where the window is used they are the ones that have it.
    @Test func layersFromTheInterval() throws {
        try expectAblation("smollm3", "window_used") {
            $0["no_rope_layers"] = NSNull()
            $0["use_sliding_window"] = true
            $0["sliding_window"] = 10
        }
    }

    /// A list of types decides alone.
    @Test func windowsFollowTheTypesOfLayers() throws {
        try expectAblation("smollm3", "window_used") {
            $0["layer_types"] = ["full_attention", "sliding_attention", "full_attention", "sliding_attention"]
            $0["use_sliding_window"] = false
            $0["sliding_window"] = 10
        }
    }

    @Test func impossibleListsAreRefused() throws {
        #expect(try refusal("smollm3") { $0["no_rope_layers"] = [1, 0] }.contains("no_rope_layers has 2 entries"))
        let found = try refusal("smollm3") {
            $0["no_rope_layers"] = NSNull()
            $0["no_rope_layer_interval"] = 0
        }
        #expect(found.contains("no_rope_layer_interval is 0"))
    }
}
