/**
 * Between two tests the event loop has a turn: vitest goes on with the next one at once, and a file of many short ones
 * would hold it for as long as a long one.
 */
import { afterEach } from "vitest"
import * as Property from "./Property.js"

afterEach(Property.turn)
