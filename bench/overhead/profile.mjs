// Where a server's CPU goes: its self time by package and by function, out of node's own CPU profiles.
//
// Only samples of the measured window count, so that start-up and warm-up are not in it.
// Usage: npm run bench -- --cpu-profile DIR [--only SCENARIO], or node bench/overhead/profile.mjs FILE.cpuprofile [CALLS]
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Procs from "./procs.mjs"
import * as Scenarios from "./scenarios.mjs"

/** Runs this scenario against a server that writes a profile below `directory`, and prints what it says. */
export const record = async ({ directory, runOne, scenario, startUp, targets: [target] }) => {
  const own = Path.resolve(directory, scenario.name)
  Fs.rmSync(own, { recursive: true, force: true })
  Fs.mkdirSync(own, { recursive: true })
  const { start } = target
  target.start = (port) => start(port, ["--cpu-prof", "--cpu-prof-interval", "500", "--cpu-prof-dir", own])
  await startUp(target)
  if (Scenarios.warms(scenario)) await runOne(target, Scenarios.warming(scenario, 5000, 60))
  const { completed, errors, window } = await runOne(target, { ...scenario, window: 5 })
  await Procs.stop(target.child)
  target.start = start
  const file = Fs.readdirSync(own).find((name) => name.endsWith(".cpuprofile"))
  if (file === undefined) throw new Error(`the server wrote no profile into ${own}`)
  console.log(`\n## ${scenario.name}: ${completed} calls, wrong: ${JSON.stringify(errors)}`)
  console.log(text(summary(read(Path.join(own, file)), window), completed))
}

export const read = (file) => JSON.parse(Fs.readFileSync(file, "utf8"))

/** Self time of packages and functions, and total time of our functions, in microseconds. */
export const summary = ({ nodes, samples, startTime, timeDeltas }, [from, to] = [-Infinity, Infinity]) => {
  const byId = new Map(nodes.map((node) => [node.id, { ...node, self: 0 }]))
  const parents = new Map(nodes.flatMap(({ children = [], id }) => children.map((child) => [child, id])))
  let at = startTime
  let all = 0
  for (const [index, id] of samples.entries()) {
    at += timeDeltas[index]
    // What stands in a delta is the time since the sample before.
    const spent = timeDeltas[index + 1] ?? 0
    if (at < from || at > to || spent < 0) continue
    const node = byId.get(id)
    if (nameOf(node) === "(idle)") continue
    node.self += spent
    all += spent
  }
  const packages = new Map()
  const functions = new Map()
  const files = new Map()
  const totals = new Map()
  for (const node of byId.values()) {
    if (node.self === 0) continue
    add(packages, packageOf(node), node.self)
    add(functions, labelOf(node), node.self)
    add(files, fileOf(node), node.self)
    // A function counts once, however often it is on the stack.
    const seen = new Set()
    for (let id = node.id; id !== undefined; id = parents.get(id)) {
      const above = byId.get(id)
      const label = labelOf(above)
      if (packageOf(above) === "vibectl" && !seen.has(label)) add(totals, label, node.self)
      seen.add(label)
    }
  }
  return {
    all,
    packages: ranked(packages),
    files: ranked(files),
    functions: ranked(functions),
    totals: ranked(totals)
  }
}

export const text = ({ all, files, functions, packages, totals }, calls, top = 30) => {
  const lines = (list) =>
    list.map(([label, micros]) =>
      `${(micros / all * 100).toFixed(1).padStart(6)} %${
        calls === undefined ? "" : `${(micros / calls).toFixed(1).padStart(9)} us a call`
      }  ${label}`
    )
  return [
    `busy ${(all / 1e6).toFixed(2)} s`,
    "self time by package:",
    ...lines(packages.slice(0, 14)),
    "self time by file:",
    ...lines(files.slice(0, 20)),
    "self time by function:",
    ...lines(functions.slice(0, top)),
    "total time of our functions, with all that they call:",
    ...lines(totals.slice(0, top))
  ].join("\n")
}

const nameOf = ({ callFrame }) => callFrame.functionName || "(anonymous)"

const packageOf = (node) => {
  const { url } = node.callFrame
  const name = nameOf(node)
  if (name === "(garbage collector)") return "garbage collector"
  if (url.startsWith("node:")) return "node"
  const packages = [...url.matchAll(/\/node_modules\/((?:@[^/]+\/)?[^/]+)/g)]
  if (packages.length > 0) return packages.at(-1)[1]
  if (url === "") return "native"
  return /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(moduleOf(node) ?? "")?.[1] ?? "vibectl"
}

/** Where the bundler took a function from: it leaves the name of each module above what it took from it. */
const moduleOf = ({ callFrame: { lineNumber, url } }) => {
  if (!url.startsWith("file:") || !url.includes("/dist/")) return undefined
  let names = bundles.get(url)
  if (names === undefined) {
    let name
    names = Fs.readFileSync(new URL(url), "utf8").split("\n").map((line) => {
      name = /^\/\/ ((?:src|node_modules)\/\S+)$/.exec(line)?.[1] ?? name
      return name
    })
    bundles.set(url, names)
  }
  return names[lineNumber]
}

const bundles = new Map()

const fileOf = (node) => {
  const { functionName, url } = node.callFrame
  const module = moduleOf(node)
  if (module !== undefined) return module.replace(/^node_modules\//, "")
  if (url === "") return functionName || "(anonymous)"
  // Where a package has its own dist, its name stands before it.
  return url.startsWith("node:") ? url : url.replace(/^.*\/node_modules\//, "").replace(/^file:.*\/dist\//, "dist/")
}

const labelOf = (node) => {
  const { lineNumber, url } = node.callFrame
  return url === "" ? nameOf(node) : `${nameOf(node)} ${fileOf(node)}:${lineNumber + 1}`
}

const add = (map, key, micros) => map.set(key, (map.get(key) ?? 0) + micros)

const ranked = (map) => [...map].sort(([, one], [, other]) => other - one)

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [file, calls] = process.argv.slice(2)
  console.log(text(summary(read(file)), calls === undefined ? undefined : Number(calls)))
}
