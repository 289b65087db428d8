package ai.switchboard.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Calls models on Amazon Bedrock. Callers name a task, never a model.
 * Errors are gRPC statuses with google.rpc details. Every error has an ErrorInfo with the domain
 * "switchboard", whose reason is an ErrorReason without its prefix, and a RequestInfo with the request id.
 * Errors that occur after the task was resolved also have the Route with every attempt. Where they apply, an
 * error has a BadRequest that names the wrong fields, a RetryInfo if waiting helps, and a QuotaFailure.
 * </pre>
 */
@io.grpc.stub.annotations.GrpcGenerated
public final class ConverseServiceGrpc {

  private ConverseServiceGrpc() {}

  public static final java.lang.String SERVICE_NAME = "switchboard.v1.ConverseService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<ai.switchboard.v1.ConverseRequest,
      ai.switchboard.v1.ConverseResponse> getConverseMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Converse",
      requestType = ai.switchboard.v1.ConverseRequest.class,
      responseType = ai.switchboard.v1.ConverseResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.switchboard.v1.ConverseRequest,
      ai.switchboard.v1.ConverseResponse> getConverseMethod() {
    io.grpc.MethodDescriptor<ai.switchboard.v1.ConverseRequest, ai.switchboard.v1.ConverseResponse> getConverseMethod;
    if ((getConverseMethod = ConverseServiceGrpc.getConverseMethod) == null) {
      synchronized (ConverseServiceGrpc.class) {
        if ((getConverseMethod = ConverseServiceGrpc.getConverseMethod) == null) {
          ConverseServiceGrpc.getConverseMethod = getConverseMethod =
              io.grpc.MethodDescriptor.<ai.switchboard.v1.ConverseRequest, ai.switchboard.v1.ConverseResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Converse"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.switchboard.v1.ConverseRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.switchboard.v1.ConverseResponse.getDefaultInstance()))
              .setSchemaDescriptor(new ConverseServiceMethodDescriptorSupplier("Converse"))
              .build();
        }
      }
    }
    return getConverseMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.switchboard.v1.ConverseRequest,
      ai.switchboard.v1.ConverseStreamResponse> getConverseStreamMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ConverseStream",
      requestType = ai.switchboard.v1.ConverseRequest.class,
      responseType = ai.switchboard.v1.ConverseStreamResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<ai.switchboard.v1.ConverseRequest,
      ai.switchboard.v1.ConverseStreamResponse> getConverseStreamMethod() {
    io.grpc.MethodDescriptor<ai.switchboard.v1.ConverseRequest, ai.switchboard.v1.ConverseStreamResponse> getConverseStreamMethod;
    if ((getConverseStreamMethod = ConverseServiceGrpc.getConverseStreamMethod) == null) {
      synchronized (ConverseServiceGrpc.class) {
        if ((getConverseStreamMethod = ConverseServiceGrpc.getConverseStreamMethod) == null) {
          ConverseServiceGrpc.getConverseStreamMethod = getConverseStreamMethod =
              io.grpc.MethodDescriptor.<ai.switchboard.v1.ConverseRequest, ai.switchboard.v1.ConverseStreamResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ConverseStream"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.switchboard.v1.ConverseRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.switchboard.v1.ConverseStreamResponse.getDefaultInstance()))
              .setSchemaDescriptor(new ConverseServiceMethodDescriptorSupplier("ConverseStream"))
              .build();
        }
      }
    }
    return getConverseStreamMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.switchboard.v1.CountTokensRequest,
      ai.switchboard.v1.CountTokensResponse> getCountTokensMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "CountTokens",
      requestType = ai.switchboard.v1.CountTokensRequest.class,
      responseType = ai.switchboard.v1.CountTokensResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.switchboard.v1.CountTokensRequest,
      ai.switchboard.v1.CountTokensResponse> getCountTokensMethod() {
    io.grpc.MethodDescriptor<ai.switchboard.v1.CountTokensRequest, ai.switchboard.v1.CountTokensResponse> getCountTokensMethod;
    if ((getCountTokensMethod = ConverseServiceGrpc.getCountTokensMethod) == null) {
      synchronized (ConverseServiceGrpc.class) {
        if ((getCountTokensMethod = ConverseServiceGrpc.getCountTokensMethod) == null) {
          ConverseServiceGrpc.getCountTokensMethod = getCountTokensMethod =
              io.grpc.MethodDescriptor.<ai.switchboard.v1.CountTokensRequest, ai.switchboard.v1.CountTokensResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "CountTokens"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.switchboard.v1.CountTokensRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.switchboard.v1.CountTokensResponse.getDefaultInstance()))
              .setSchemaDescriptor(new ConverseServiceMethodDescriptorSupplier("CountTokens"))
              .build();
        }
      }
    }
    return getCountTokensMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static ConverseServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<ConverseServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<ConverseServiceStub>() {
        @java.lang.Override
        public ConverseServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new ConverseServiceStub(channel, callOptions);
        }
      };
    return ConverseServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports all types of calls on the service
   */
  public static ConverseServiceBlockingV2Stub newBlockingV2Stub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<ConverseServiceBlockingV2Stub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<ConverseServiceBlockingV2Stub>() {
        @java.lang.Override
        public ConverseServiceBlockingV2Stub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new ConverseServiceBlockingV2Stub(channel, callOptions);
        }
      };
    return ConverseServiceBlockingV2Stub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static ConverseServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<ConverseServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<ConverseServiceBlockingStub>() {
        @java.lang.Override
        public ConverseServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new ConverseServiceBlockingStub(channel, callOptions);
        }
      };
    return ConverseServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static ConverseServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<ConverseServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<ConverseServiceFutureStub>() {
        @java.lang.Override
        public ConverseServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new ConverseServiceFutureStub(channel, callOptions);
        }
      };
    return ConverseServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Calls models on Amazon Bedrock. Callers name a task, never a model.
   * Errors are gRPC statuses with google.rpc details. Every error has an ErrorInfo with the domain
   * "switchboard", whose reason is an ErrorReason without its prefix, and a RequestInfo with the request id.
   * Errors that occur after the task was resolved also have the Route with every attempt. Where they apply, an
   * error has a BadRequest that names the wrong fields, a RetryInfo if waiting helps, and a QuotaFailure.
   * </pre>
   */
  public interface AsyncService {

    /**
     * <pre>
     * Generates an answer and returns it when it is complete. Every attempt in the route can be billed by
     * Bedrock, not only the one that answered.
     * </pre>
     */
    default void converse(ai.switchboard.v1.ConverseRequest request,
        io.grpc.stub.StreamObserver<ai.switchboard.v1.ConverseResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getConverseMethod(), responseObserver);
    }

    /**
     * <pre>
     * Generates an answer and streams it. The first event is always the route and the last is always the
     * metadata; a stream that ends without metadata ends with an error status. Before the first content is
     * sent, another model can take over; only the route shows it.
     * </pre>
     */
    default void converseStream(ai.switchboard.v1.ConverseRequest request,
        io.grpc.stub.StreamObserver<ai.switchboard.v1.ConverseStreamResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getConverseStreamMethod(), responseObserver);
    }

    /**
     * <pre>
     * Counts the input tokens of a request as the task's model would count them. Generates no answer and is
     * free of charge. Not every model supports it.
     * </pre>
     */
    default void countTokens(ai.switchboard.v1.CountTokensRequest request,
        io.grpc.stub.StreamObserver<ai.switchboard.v1.CountTokensResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCountTokensMethod(), responseObserver);
    }
  }

  /**
   * Base class for the server implementation of the service ConverseService.
   * <pre>
   * Calls models on Amazon Bedrock. Callers name a task, never a model.
   * Errors are gRPC statuses with google.rpc details. Every error has an ErrorInfo with the domain
   * "switchboard", whose reason is an ErrorReason without its prefix, and a RequestInfo with the request id.
   * Errors that occur after the task was resolved also have the Route with every attempt. Where they apply, an
   * error has a BadRequest that names the wrong fields, a RetryInfo if waiting helps, and a QuotaFailure.
   * </pre>
   */
  public static abstract class ConverseServiceImplBase
      implements io.grpc.BindableService, AsyncService {

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return ConverseServiceGrpc.bindService(this);
    }
  }

  /**
   * A stub to allow clients to do asynchronous rpc calls to service ConverseService.
   * <pre>
   * Calls models on Amazon Bedrock. Callers name a task, never a model.
   * Errors are gRPC statuses with google.rpc details. Every error has an ErrorInfo with the domain
   * "switchboard", whose reason is an ErrorReason without its prefix, and a RequestInfo with the request id.
   * Errors that occur after the task was resolved also have the Route with every attempt. Where they apply, an
   * error has a BadRequest that names the wrong fields, a RetryInfo if waiting helps, and a QuotaFailure.
   * </pre>
   */
  public static final class ConverseServiceStub
      extends io.grpc.stub.AbstractAsyncStub<ConverseServiceStub> {
    private ConverseServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected ConverseServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new ConverseServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Generates an answer and returns it when it is complete. Every attempt in the route can be billed by
     * Bedrock, not only the one that answered.
     * </pre>
     */
    public void converse(ai.switchboard.v1.ConverseRequest request,
        io.grpc.stub.StreamObserver<ai.switchboard.v1.ConverseResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getConverseMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Generates an answer and streams it. The first event is always the route and the last is always the
     * metadata; a stream that ends without metadata ends with an error status. Before the first content is
     * sent, another model can take over; only the route shows it.
     * </pre>
     */
    public void converseStream(ai.switchboard.v1.ConverseRequest request,
        io.grpc.stub.StreamObserver<ai.switchboard.v1.ConverseStreamResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getConverseStreamMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Counts the input tokens of a request as the task's model would count them. Generates no answer and is
     * free of charge. Not every model supports it.
     * </pre>
     */
    public void countTokens(ai.switchboard.v1.CountTokensRequest request,
        io.grpc.stub.StreamObserver<ai.switchboard.v1.CountTokensResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCountTokensMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * A stub to allow clients to do synchronous rpc calls to service ConverseService.
   * <pre>
   * Calls models on Amazon Bedrock. Callers name a task, never a model.
   * Errors are gRPC statuses with google.rpc details. Every error has an ErrorInfo with the domain
   * "switchboard", whose reason is an ErrorReason without its prefix, and a RequestInfo with the request id.
   * Errors that occur after the task was resolved also have the Route with every attempt. Where they apply, an
   * error has a BadRequest that names the wrong fields, a RetryInfo if waiting helps, and a QuotaFailure.
   * </pre>
   */
  public static final class ConverseServiceBlockingV2Stub
      extends io.grpc.stub.AbstractBlockingStub<ConverseServiceBlockingV2Stub> {
    private ConverseServiceBlockingV2Stub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected ConverseServiceBlockingV2Stub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new ConverseServiceBlockingV2Stub(channel, callOptions);
    }

    /**
     * <pre>
     * Generates an answer and returns it when it is complete. Every attempt in the route can be billed by
     * Bedrock, not only the one that answered.
     * </pre>
     */
    public ai.switchboard.v1.ConverseResponse converse(ai.switchboard.v1.ConverseRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getConverseMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Generates an answer and streams it. The first event is always the route and the last is always the
     * metadata; a stream that ends without metadata ends with an error status. Before the first content is
     * sent, another model can take over; only the route shows it.
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<?, ai.switchboard.v1.ConverseStreamResponse>
        converseStream(ai.switchboard.v1.ConverseRequest request) {
      return io.grpc.stub.ClientCalls.blockingV2ServerStreamingCall(
          getChannel(), getConverseStreamMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Counts the input tokens of a request as the task's model would count them. Generates no answer and is
     * free of charge. Not every model supports it.
     * </pre>
     */
    public ai.switchboard.v1.CountTokensResponse countTokens(ai.switchboard.v1.CountTokensRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getCountTokensMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do limited synchronous rpc calls to service ConverseService.
   * <pre>
   * Calls models on Amazon Bedrock. Callers name a task, never a model.
   * Errors are gRPC statuses with google.rpc details. Every error has an ErrorInfo with the domain
   * "switchboard", whose reason is an ErrorReason without its prefix, and a RequestInfo with the request id.
   * Errors that occur after the task was resolved also have the Route with every attempt. Where they apply, an
   * error has a BadRequest that names the wrong fields, a RetryInfo if waiting helps, and a QuotaFailure.
   * </pre>
   */
  public static final class ConverseServiceBlockingStub
      extends io.grpc.stub.AbstractBlockingStub<ConverseServiceBlockingStub> {
    private ConverseServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected ConverseServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new ConverseServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Generates an answer and returns it when it is complete. Every attempt in the route can be billed by
     * Bedrock, not only the one that answered.
     * </pre>
     */
    public ai.switchboard.v1.ConverseResponse converse(ai.switchboard.v1.ConverseRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getConverseMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Generates an answer and streams it. The first event is always the route and the last is always the
     * metadata; a stream that ends without metadata ends with an error status. Before the first content is
     * sent, another model can take over; only the route shows it.
     * </pre>
     */
    public java.util.Iterator<ai.switchboard.v1.ConverseStreamResponse> converseStream(
        ai.switchboard.v1.ConverseRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getConverseStreamMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Counts the input tokens of a request as the task's model would count them. Generates no answer and is
     * free of charge. Not every model supports it.
     * </pre>
     */
    public ai.switchboard.v1.CountTokensResponse countTokens(ai.switchboard.v1.CountTokensRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCountTokensMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do ListenableFuture-style rpc calls to service ConverseService.
   * <pre>
   * Calls models on Amazon Bedrock. Callers name a task, never a model.
   * Errors are gRPC statuses with google.rpc details. Every error has an ErrorInfo with the domain
   * "switchboard", whose reason is an ErrorReason without its prefix, and a RequestInfo with the request id.
   * Errors that occur after the task was resolved also have the Route with every attempt. Where they apply, an
   * error has a BadRequest that names the wrong fields, a RetryInfo if waiting helps, and a QuotaFailure.
   * </pre>
   */
  public static final class ConverseServiceFutureStub
      extends io.grpc.stub.AbstractFutureStub<ConverseServiceFutureStub> {
    private ConverseServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected ConverseServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new ConverseServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Generates an answer and returns it when it is complete. Every attempt in the route can be billed by
     * Bedrock, not only the one that answered.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.switchboard.v1.ConverseResponse> converse(
        ai.switchboard.v1.ConverseRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getConverseMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Counts the input tokens of a request as the task's model would count them. Generates no answer and is
     * free of charge. Not every model supports it.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.switchboard.v1.CountTokensResponse> countTokens(
        ai.switchboard.v1.CountTokensRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCountTokensMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_CONVERSE = 0;
  private static final int METHODID_CONVERSE_STREAM = 1;
  private static final int METHODID_COUNT_TOKENS = 2;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final AsyncService serviceImpl;
    private final int methodId;

    MethodHandlers(AsyncService serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_CONVERSE:
          serviceImpl.converse((ai.switchboard.v1.ConverseRequest) request,
              (io.grpc.stub.StreamObserver<ai.switchboard.v1.ConverseResponse>) responseObserver);
          break;
        case METHODID_CONVERSE_STREAM:
          serviceImpl.converseStream((ai.switchboard.v1.ConverseRequest) request,
              (io.grpc.stub.StreamObserver<ai.switchboard.v1.ConverseStreamResponse>) responseObserver);
          break;
        case METHODID_COUNT_TOKENS:
          serviceImpl.countTokens((ai.switchboard.v1.CountTokensRequest) request,
              (io.grpc.stub.StreamObserver<ai.switchboard.v1.CountTokensResponse>) responseObserver);
          break;
        default:
          throw new AssertionError();
      }
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public io.grpc.stub.StreamObserver<Req> invoke(
        io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        default:
          throw new AssertionError();
      }
    }
  }

  public static final io.grpc.ServerServiceDefinition bindService(AsyncService service) {
    return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
        .addMethod(
          getConverseMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              ai.switchboard.v1.ConverseRequest,
              ai.switchboard.v1.ConverseResponse>(
                service, METHODID_CONVERSE)))
        .addMethod(
          getConverseStreamMethod(),
          io.grpc.stub.ServerCalls.asyncServerStreamingCall(
            new MethodHandlers<
              ai.switchboard.v1.ConverseRequest,
              ai.switchboard.v1.ConverseStreamResponse>(
                service, METHODID_CONVERSE_STREAM)))
        .addMethod(
          getCountTokensMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              ai.switchboard.v1.CountTokensRequest,
              ai.switchboard.v1.CountTokensResponse>(
                service, METHODID_COUNT_TOKENS)))
        .build();
  }

  private static abstract class ConverseServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    ConverseServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return ai.switchboard.v1.Converse.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("ConverseService");
    }
  }

  private static final class ConverseServiceFileDescriptorSupplier
      extends ConverseServiceBaseDescriptorSupplier {
    ConverseServiceFileDescriptorSupplier() {}
  }

  private static final class ConverseServiceMethodDescriptorSupplier
      extends ConverseServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final java.lang.String methodName;

    ConverseServiceMethodDescriptorSupplier(java.lang.String methodName) {
      this.methodName = methodName;
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.MethodDescriptor getMethodDescriptor() {
      return getServiceDescriptor().findMethodByName(methodName);
    }
  }

  private static volatile io.grpc.ServiceDescriptor serviceDescriptor;

  public static io.grpc.ServiceDescriptor getServiceDescriptor() {
    io.grpc.ServiceDescriptor result = serviceDescriptor;
    if (result == null) {
      synchronized (ConverseServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new ConverseServiceFileDescriptorSupplier())
              .addMethod(getConverseMethod())
              .addMethod(getConverseStreamMethod())
              .addMethod(getCountTokensMethod())
              .build();
        }
      }
    }
    return result;
  }
}
