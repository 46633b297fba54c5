import Datasets
import Foundation
import Recipes
import Testing

/// What the documents say is what the program does.
@Suite struct DocumentationTests {
    /// After changing a key, `MARTLET_WRITE_DOCS=1 bash Tests/run.sh --filter recipeKeys` writes the file again.
    @Test func recipeKeysAreListedInTheDocs() throws {
        let path = Repository.root.appendingPathComponent("docs/recipe.md")
        let expected = RecipeReference.markdown
        if ProcessInfo.processInfo.environment["MARTLET_WRITE_DOCS"] != nil {
            try expected.write(to: path, atomically: true, encoding: .utf8)
        }
        #expect(try Repository.text("docs/recipe.md") == expected)
    }

    @Test func recipesInTheReadmeAreValid() throws {
        let blocks = try Repository.codeBlocksInReadme("yaml")
        #expect(!blocks.isEmpty)
        for block in blocks { _ = try Recipe(yaml: block, file: "README.yaml") }
    }

    @Test func filesThatTheReadmeLinksToExist() throws {
        let readme = try Repository.text("README.md")
        let targets = readme.components(separatedBy: "](").dropFirst()
            .compactMap { $0.components(separatedBy: ")").first }
        #expect(!targets.isEmpty)
        for target in targets where !target.hasPrefix("https://") {
            let place = Repository.root.appendingPathComponent(target)
            #expect(FileManager.default.fileExists(atPath: place.path), "README.md links to \(target)")
        }
    }

    /// Every format has a section of its name, whose examples are found to be of that format and read.
    @Test func formatsInTheDocsAreRead() throws {
        let sections = try Repository.text("docs/data.md").components(separatedBy: "\n## ").dropFirst()
        let names = sections.compactMap { $0.components(separatedBy: "\n").first }
        #expect(Set(names) == Set(DatasetFormat.allCases.map(\.rawValue)))
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString).jsonl")
        defer { try? FileManager.default.removeItem(at: file) }
        for (name, section) in zip(names, sections) {
            let examples = try #require(section.components(separatedBy: "```json\n").last?.components(separatedBy: "```").first)
            try examples.write(to: file, atomically: true, encoding: .utf8)
            let reader = try DatasetReader(path: file.path)
            #expect(reader.format.rawValue == name)
            let count = try reader.records().map { try $0.get() }.count
            #expect(count == examples.split(separator: "\n").count, "\(name)")
        }
    }

    @Test func readmeTableListsTheLibrariesOfThePackage() throws {
        let readme = try Repository.text("README.md")
        let products = try Repository.text("Package.swift").components(separatedBy: ".library(name: \"").dropFirst()
            .compactMap { $0.components(separatedBy: "\"").first }
        #expect(products.count >= 9)
        for product in products { #expect(readme.contains("| `\(product)` |"), "README.md has no row for \(product)") }
    }
}

/// The recipe's keys as a document.
enum RecipeReference {
    static var markdown: String {
        var text = """
            # The recipe

            Every key that a recipe may have, with its default. `[]` stands for the elements of a list. A key that is not here is
            refused with its line, and with the key that was probably meant. On the command line, `key.path=value` after the
            recipe goes over what the recipe says; there, an element of a list is named by its number, counted from 0
            (`data.train.0.path=x` or `data.train[0].path=x`). This file is generated from the program's own list; a test compares
            the two.

            """
        var section = ""
        for key in Recipe.keys {
            let name = key.path.components(separatedBy: ".")[0]
            if name != section {
                section = name
                text += "\n## \(section)\n| key | value | default | what it does |\n|---|---|---|---|\n"
            }
            let cells = ["`\(key.path)`", key.type, "`\(key.defaultText)`", key.summary]
            text += "| " + cells.map { $0.replacingOccurrences(of: "|", with: "\\|") }.joined(separator: " | ") + " |\n"
        }
        return text
    }
}
