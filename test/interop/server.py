"""A server that behaves like the deployed one: failures are OK with `error` inside, no version metadata is read.

Usage: server.py STUBS_DIR VERSION; prints its port, then serves in plaintext until its standard input ends.
"""
import sys
from concurrent import futures

import grpc

stubs, version = sys.argv[1:3]
sys.path.insert(0, stubs)
import llm_proxy_pb2 as pb  # noqa: E402
import llm_proxy_pb2_grpc as rpc  # noqa: E402

METRICS = dict(duration_ms=12, input_tokens=3, output_tokens=4, total_tokens=7, retry_count=0, timestamp=1700000000)


class Proxy(rpc.VibectlLLMProxyServicer):
    def GetServerInfo(self, request, context):
        self.authenticate(context)
        return pb.GetServerInfoResponse(
            available_models=[pb.ModelInfo(model_id="gpt-4o", display_name="GPT-4o", provider="openai",
                                           supports_streaming=True, max_context_length=128000)],
            default_model="gpt-4o", limits=pb.ServerLimits(max_requests_per_minute=60),
            server_version=version, model_aliases={"gpt-4": "gpt-4o"}, server_name="vibectl-llm-proxy")

    def Execute(self, request, context):
        self.authenticate(context)
        if request.model_name == "broken":
            return pb.ExecuteResponse(request_id=request.request_id, error=pb.ExecuteError(
                error_code="EXECUTION_FAILED", error_message="Failed to execute prompt: boom"))
        return pb.ExecuteResponse(request_id=request.request_id, success=pb.ExecuteSuccess(
            response_text="deployed answer", actual_model_used="gpt-4o", metrics=pb.ExecutionMetrics(**METRICS)))

    def StreamExecute(self, request, context):
        self.authenticate(context)
        if request.model_name == "broken":
            yield pb.StreamChunk(request_id=request.request_id, error=pb.ExecuteError(
                error_code="EXECUTION_FAILED", error_message="Failed to execute prompt: boom"))
            return
        for piece in ("deployed ", "answer"):
            yield pb.StreamChunk(request_id=request.request_id, text_chunk=piece)
        yield pb.StreamChunk(request_id=request.request_id, complete=pb.StreamComplete(actual_model_used="gpt-4o"))
        yield pb.StreamChunk(request_id=request.request_id, final_metrics=pb.ExecutionMetrics(**METRICS))

    @staticmethod
    def authenticate(context):
        if not any(key == "authorization" for key, _ in context.invocation_metadata()):
            context.abort(grpc.StatusCode.UNAUTHENTICATED,
                          "Authentication required. Please provide a valid JWT token in the authorization header: "
                          "'Bearer <token>'")


server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
rpc.add_VibectlLLMProxyServicer_to_server(Proxy(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
server.stop(None)
