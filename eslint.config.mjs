import * as effect from "@effect/eslint-plugin"
import tseslint from "typescript-eslint"

const format = {
  "@effect/dprint": ["error", {
    config: {
      indentWidth: 2,
      lineWidth: 120,
      operatorPosition: "maintain",
      semiColons: "asi",
      quoteStyle: "alwaysDouble",
      trailingCommas: "never",
      "arrowFunction.useParentheses": "force",
      "functionExpression.spaceAfterFunctionKeyword": false,
      "generator.spaceAfterStar": false
    }
  }]
}

const fibers = {
  selector: "MemberExpression[object.name='Effect'][property.name=/^run(Promise|Sync|Fork|Callback)/]",
  message: "Fibers start in grpc/Bridge.ts and the two main.ts only."
}

/** `Effect.forEach` and `Array.map` hand over the index as well, and a logger or console prints it. */
const indexes = {
  selector:
    "CallExpression[callee.property.name=/^(forEach|map)$/] > MemberExpression[object.name=/^(Effect|Console)$/][property.name=/^(log|error|info|warn|debug)/]",
  message: "Write (text) => Effect.logWarning(text): the index would be printed, too."
}

/** What never comes would spin until the run is killed. */
const endless = {
  selector:
    "CallExpression[callee.object.name='Effect'][callee.property.name='repeat'] Property[key.name=/^(until|while)$/]",
  message: "Patience.eventually looks again and again, lets others run, and says in the end what it waited for."
}

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", "coverage/"] },
  ...effect.configs.dprint,
  { files: ["**/*.{ts,mjs}"], rules: format },
  {
    files: ["src/**/*.ts", "test/**/*.ts", "bench/**/*.ts", "vitest.config.ts"],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/no-floating-promises": "error",
      // Generators are how Effect is written; many of them do not yield.
      "require-yield": "off"
    }
  },
  {
    files: ["src/**/*.ts"],
    rules: { "no-console": "error", "no-restricted-syntax": ["error", fibers, indexes] }
  },
  {
    files: ["test/**/*.ts"],
    rules: { "@typescript-eslint/no-non-null-assertion": "off" }
  },
  {
    files: ["test/**/*.ts"],
    ignores: ["test/support/{Property,Temporary}.ts"],
    rules: {
      "no-restricted-syntax": ["error", endless],
      "no-restricted-properties": [
        "error",
        {
          object: "fc",
          property: "assert",
          message: "Property.check gives the event loop its turns and ends in time."
        },
        { object: "Fs", property: "mkdtempSync", message: "Temporary.directory() is removed when the run ends." }
      ]
    }
  }
)
