/**
 * `vibectl/testing`: a provider and a server for tests.
 */
export * as FakeProvider from "./FakeProvider.js"
export * as FakeVendor from "./FakeVendor.js"
export * as TestServer from "./TestServer.js"
