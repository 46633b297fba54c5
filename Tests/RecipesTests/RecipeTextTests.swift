import Foundation
import Recipes
import Testing

/// The one thing that is wrong with a text.
private func refusal(_ yaml: String) -> String {
    let found = problems(yaml)
    return found.count == 1 ? found[0].description : "\(found.count) problems"
}

@Test(arguments: ["", "\n\n", "# only a comment\n", "---\n", "---\n...\n", "~", "null"])
func anEmptyRecipeIsRefused(_ yaml: String) {
    #expect(refusal(yaml) == "r.yaml: is empty; a recipe needs model.path and data.train")
}

@Test func brokenYAMLIsPlaced() {
    #expect(refusal("model: {path: m\ndata: 3\n").hasPrefix("r.yaml:2:"))
    #expect(refusal("model:\n\tpath: m\n").hasPrefix("r.yaml:2:1: a tab stands where only spaces may; "))
    #expect(refusal("model:\n  path: m\n\tquantization: nf4\n").contains(": a tab stands where only spaces may"))
    #expect(refusal("a: 1\n---\nb: 2\n").contains("another document"))
    #expect(refusal("model: *nowhere\n").hasPrefix("r.yaml:1:8: "))
    #expect(refusal("? [a, b]\n: 1\n").contains("keys are plain words"))
    #expect(refusal("just text").contains("expected a section with the keys model, adapter"))
    #expect(refusal("- a\n- b\n").contains("found a list of 2"))
    #expect(refusal("a: \u{1}\n").contains("control characters"))
}

@Test func aByteOrderMarkAndWindowsLineEndsAreFine() throws {
    let yaml = "\u{FEFF}" + minimal.replacing("\n", with: "\r\n")
    #expect(try Recipe(yaml: yaml, file: "r.yaml") == recipe())
}

@Test func aliasesWork() throws {
    let yaml = minimal + "  validation: &held\n    - path: v\nadapter: {rank: &n 8}\ntraining: {steps: *n}\n"
    let recipe = try Recipe(yaml: yaml, file: "r.yaml")
    #expect(recipe.training.steps == 8 && recipe.adapter.rank == 8)
}

@Test func expandingAliasesAreBounded() {
    var bomb = "a0: &a0 [" + String(repeating: "x, ", count: 40) + "]\n"
    for level in 1...4 { bomb += "a\(level): &a\(level) [" + String(repeating: "*a\(level - 1),", count: 5) + "]\n" }
    #expect(refusal(bomb).contains("has more than 10000 values"))
    let wide = "a: &a 1\nb: [" + String(repeating: "*a, ", count: 50) + "]\n"
    #expect(refusal(wide).contains("has 50 aliases"))
    let long = "a: &a 1\nb: *a\n" + String(repeating: "# filler\n", count: 10_000)
    #expect(refusal(long).contains("with aliases at most 65536"))
    var chain = "c0: &c0 " + String(repeating: "[", count: 900) + String(repeating: "]", count: 900) + "\n"
    for level in 1...18 {
        chain +=
            "c\(level): &c\(level) " + String(repeating: "[", count: 900) + "*c\(level - 1)"
            + String(repeating: "]", count: 900) + "\n"
    }
    #expect(refusal(chain).contains("nests more than 32 levels deep"))
}

@Test(arguments: ["[", "{a: ", "- ", "? "])
func deepNestingIsBounded(_ opening: String) {
    let closing = opening == "[" ? "]" : opening == "{a: " ? "}" : ""
    for depth in [40, 900, 100_000] {
        let yaml = String(repeating: opening, count: depth) + "1" + String(repeating: closing, count: depth)
        #expect(problems(yaml).count == 1)
    }
}

@Test func hugeRecipesAreBounded() {
    #expect(refusal(String(repeating: "#", count: 1 << 20) + "\n").contains("bytes; a recipe has at most 1048576"))
    #expect(refusal("a: [" + String(repeating: "1, ", count: 20_000) + "]").contains("has more than 10000 values"))
    let keys = (0..<3000).map { "key\($0): 1\n" }.joined()
    #expect(problems(minimal + keys).count == 3000)
    let twice = (0..<200).map { "m\($0): {a: 1, a: 2}\n" }.joined()
    #expect(refusal(twice).contains("more than once"))
}

@Test func filesAreReadWithinBounds() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("recipe-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let url = folder.appendingPathComponent(name)
        try Foundation.Data(bytes).write(to: url)
        return url.path
    }
    func refusal(_ path: String) -> RecipeError? {
        do {
            _ = try Recipe.read(contentsOf: path)
            return nil
        } catch {
            return error
        }
    }
    let good = try file("good.v2.yaml", Array(minimal.utf8))
    #expect(try Recipe.read(contentsOf: good, overrides: ["adapter.rank=2"]).adapter.rank == 2)
    #expect(try Recipe.read(contentsOf: good).output.directory == "runs/good.v2")
    #expect(try refusal(file("latin.yaml", [0x61, 0x3A, 0x20, 0xE9]))?.description.contains("is not UTF-8") == true)
    let big = try file("big.yaml", Array(repeating: 0x23, count: (1 << 20) + 1))
    #expect(refusal(big)?.description.contains("is larger than 1048576 bytes") == true)
    let isFolder = refusal(folder.path)
    #expect(isFolder?.description.hasSuffix(": is a folder; give the path of a recipe (.yaml)") == true && isFolder?.isMissingFile == false)
    let missing = refusal(folder.path + "/none.yaml")
    #expect(missing?.isMissingFile == true)
    #expect(missing?.description.contains("none.yaml: there is no such file") == true)
}
