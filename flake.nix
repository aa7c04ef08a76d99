{
  description = "vibectl: an LLM proxy over gRPC, and its client";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      each = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      manifest = lib.importJSON ./package.json;

      # What package-lock.json says, and nothing else: its integrity hashes are checked by npm, the whole by the hash
      # below. No install script runs, and the optional native parts are those of one platform everywhere (they only
      # make things faster), so the hash is the same on every system. After a change of package-lock.json, take the
      # hash that the failing build prints.
      dependencies = pkgs: pkgs.stdenvNoCC.mkDerivation {
        pname = "vibectl-dependencies";
        inherit (manifest) version;
        src = lib.fileset.toSource {
          root = ./.;
          fileset = lib.fileset.unions [ ./package.json ./package-lock.json ];
        };
        nativeBuildInputs = [ pkgs.nodejs_22 pkgs.cacert ];
        buildPhase = ''
          export HOME=$TMPDIR
          npm ci --ignore-scripts --no-audit --no-fund --os=linux --cpu=x64 --libc=glibc
          rm node_modules/.package-lock.json
        '';
        installPhase = "cp -r node_modules $out";
        dontFixup = true;
        outputHashMode = "recursive";
        outputHash = "sha256-TFSdM0DqaycZyAZXqP/xvZ1yEJZPluN7ruvDeKMsUs8=";
      };

      # Both programs are one npm package.
      package = pkgs: pkgs.stdenv.mkDerivation {
        pname = "vibectl";
        inherit (manifest) version;
        src = self;
        nativeBuildInputs = [ pkgs.nodejs_22 pkgs.makeWrapper ];
        buildPhase = ''
          cp -r ${dependencies pkgs} node_modules
          chmod -R u+w node_modules
          # Of the native parts this one is needed: where it does not run, the programs are not bundled and start slower.
          node tools/build.mjs ${lib.optionalString (pkgs.stdenv.hostPlatform.system != "x86_64-linux") "--plain"}
          HOME=$TMPDIR npm prune --omit=dev --ignore-scripts --offline --no-audit --no-fund
        '';
        installPhase = ''
          mkdir -p $out/lib/vibectl
          cp -r dist proto node_modules package.json LICENSE $out/lib/vibectl
          makeWrapper ${lib.getExe pkgs.nodejs_22} $out/bin/vibectl --add-flags $out/lib/vibectl/dist/cli/main.js
          makeWrapper ${lib.getExe pkgs.nodejs_22} $out/bin/vibectl-server --add-flags $out/lib/vibectl/dist/server/main.js
        '';
        meta = {
          inherit (manifest) description;
          license = lib.licenses.asl20;
          mainProgram = "vibectl";
        };
      };
    in
    {
      packages = each (pkgs: rec {
        default = vibectl;
        vibectl = package pkgs;
        vibectl-server = vibectl.overrideAttrs (old: { meta = old.meta // { mainProgram = "vibectl-server"; }; });
      });

      devShells = each (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.nodejs_22
            pkgs.git
            # Another language's client, for the interoperability test.
            (pkgs.python3.withPackages (python: [ python.grpcio python.grpcio-tools ]))
          ];
        };
      });
    };
}
