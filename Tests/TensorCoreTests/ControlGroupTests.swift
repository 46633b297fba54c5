import TensorCore
import Testing

@Suite struct ControlGroupTests {
    @Test func secondVersionHasOneTree() {
        let groups = ControlGroup.groups(of: "cpu", "0::/system.slice/work.service\n")
        #expect(groups == ["/sys/fs/cgroup", "/sys/fs/cgroup/system.slice", "/sys/fs/cgroup/system.slice/work.service"])
    }

    @Test func firstVersionHasATreeForEachController() {
        let lines = "9:memory:/a/b\n4:cpu,cpuacct:/c\n1:name=systemd:/d\n"
        #expect(ControlGroup.groups(of: "memory", lines) == ["", "/a", "/a/b"].map { "/sys/fs/cgroup/memory" + $0 })
        #expect(ControlGroup.groups(of: "cpu", lines) == ["", "/c"].map { "/sys/fs/cgroup/cpu" + $0 })
        #expect(ControlGroup.groups(of: "io", lines).isEmpty)
    }

    @Test(arguments: ["", "nothing", "1:cpu", "::"]) func linesOfAnotherFormSayNothing(line: String) {
        #expect(ControlGroup.groups(of: "cpu", line).isEmpty)
    }
}
