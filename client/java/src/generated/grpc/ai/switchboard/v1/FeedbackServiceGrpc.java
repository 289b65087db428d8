package ai.switchboard.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Collects feedback on answers, so that quality can be measured by task, model and variant. Feedback is
 * accepted by the instance that served the call, for the retention time of the configuration (default: seven
 * days).
 * </pre>
 */
@io.grpc.stub.annotations.GrpcGenerated
public final class FeedbackServiceGrpc {

  private FeedbackServiceGrpc() {}

  public static final java.lang.String SERVICE_NAME = "switchboard.v1.FeedbackService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<ai.switchboard.v1.RecordFeedbackRequest,
      ai.switchboard.v1.RecordFeedbackResponse> getRecordFeedbackMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "RecordFeedback",
      requestType = ai.switchboard.v1.RecordFeedbackRequest.class,
      responseType = ai.switchboard.v1.RecordFeedbackResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.switchboard.v1.RecordFeedbackRequest,
      ai.switchboard.v1.RecordFeedbackResponse> getRecordFeedbackMethod() {
    io.grpc.MethodDescriptor<ai.switchboard.v1.RecordFeedbackRequest, ai.switchboard.v1.RecordFeedbackResponse> getRecordFeedbackMethod;
    if ((getRecordFeedbackMethod = FeedbackServiceGrpc.getRecordFeedbackMethod) == null) {
      synchronized (FeedbackServiceGrpc.class) {
        if ((getRecordFeedbackMethod = FeedbackServiceGrpc.getRecordFeedbackMethod) == null) {
          FeedbackServiceGrpc.getRecordFeedbackMethod = getRecordFeedbackMethod =
              io.grpc.MethodDescriptor.<ai.switchboard.v1.RecordFeedbackRequest, ai.switchboard.v1.RecordFeedbackResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "RecordFeedback"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.switchboard.v1.RecordFeedbackRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.switchboard.v1.RecordFeedbackResponse.getDefaultInstance()))
              .setSchemaDescriptor(new FeedbackServiceMethodDescriptorSupplier("RecordFeedback"))
              .build();
        }
      }
    }
    return getRecordFeedbackMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static FeedbackServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<FeedbackServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<FeedbackServiceStub>() {
        @java.lang.Override
        public FeedbackServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new FeedbackServiceStub(channel, callOptions);
        }
      };
    return FeedbackServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports all types of calls on the service
   */
  public static FeedbackServiceBlockingV2Stub newBlockingV2Stub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<FeedbackServiceBlockingV2Stub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<FeedbackServiceBlockingV2Stub>() {
        @java.lang.Override
        public FeedbackServiceBlockingV2Stub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new FeedbackServiceBlockingV2Stub(channel, callOptions);
        }
      };
    return FeedbackServiceBlockingV2Stub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static FeedbackServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<FeedbackServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<FeedbackServiceBlockingStub>() {
        @java.lang.Override
        public FeedbackServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new FeedbackServiceBlockingStub(channel, callOptions);
        }
      };
    return FeedbackServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static FeedbackServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<FeedbackServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<FeedbackServiceFutureStub>() {
        @java.lang.Override
        public FeedbackServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new FeedbackServiceFutureStub(channel, callOptions);
        }
      };
    return FeedbackServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Collects feedback on answers, so that quality can be measured by task, model and variant. Feedback is
   * accepted by the instance that served the call, for the retention time of the configuration (default: seven
   * days).
   * </pre>
   */
  public interface AsyncService {

    /**
     * <pre>
     * Records one judgement of one answer. Free of charge; calls no model. A later judgement by the same judge
     * for the same criterion replaces the earlier one completely: fields that it does not set are cleared.
     * Errors are as in ConverseService. NOT_FOUND with UNKNOWN_REQUEST: no answer with this request id is
     * known, or it is older than the retention time. INVALID_ARGUMENT with INVALID_FIELD: BadRequest names
     * every wrong field.
     * </pre>
     */
    default void recordFeedback(ai.switchboard.v1.RecordFeedbackRequest request,
        io.grpc.stub.StreamObserver<ai.switchboard.v1.RecordFeedbackResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getRecordFeedbackMethod(), responseObserver);
    }
  }

  /**
   * Base class for the server implementation of the service FeedbackService.
   * <pre>
   * Collects feedback on answers, so that quality can be measured by task, model and variant. Feedback is
   * accepted by the instance that served the call, for the retention time of the configuration (default: seven
   * days).
   * </pre>
   */
  public static abstract class FeedbackServiceImplBase
      implements io.grpc.BindableService, AsyncService {

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return FeedbackServiceGrpc.bindService(this);
    }
  }

  /**
   * A stub to allow clients to do asynchronous rpc calls to service FeedbackService.
   * <pre>
   * Collects feedback on answers, so that quality can be measured by task, model and variant. Feedback is
   * accepted by the instance that served the call, for the retention time of the configuration (default: seven
   * days).
   * </pre>
   */
  public static final class FeedbackServiceStub
      extends io.grpc.stub.AbstractAsyncStub<FeedbackServiceStub> {
    private FeedbackServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected FeedbackServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new FeedbackServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Records one judgement of one answer. Free of charge; calls no model. A later judgement by the same judge
     * for the same criterion replaces the earlier one completely: fields that it does not set are cleared.
     * Errors are as in ConverseService. NOT_FOUND with UNKNOWN_REQUEST: no answer with this request id is
     * known, or it is older than the retention time. INVALID_ARGUMENT with INVALID_FIELD: BadRequest names
     * every wrong field.
     * </pre>
     */
    public void recordFeedback(ai.switchboard.v1.RecordFeedbackRequest request,
        io.grpc.stub.StreamObserver<ai.switchboard.v1.RecordFeedbackResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getRecordFeedbackMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * A stub to allow clients to do synchronous rpc calls to service FeedbackService.
   * <pre>
   * Collects feedback on answers, so that quality can be measured by task, model and variant. Feedback is
   * accepted by the instance that served the call, for the retention time of the configuration (default: seven
   * days).
   * </pre>
   */
  public static final class FeedbackServiceBlockingV2Stub
      extends io.grpc.stub.AbstractBlockingStub<FeedbackServiceBlockingV2Stub> {
    private FeedbackServiceBlockingV2Stub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected FeedbackServiceBlockingV2Stub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new FeedbackServiceBlockingV2Stub(channel, callOptions);
    }

    /**
     * <pre>
     * Records one judgement of one answer. Free of charge; calls no model. A later judgement by the same judge
     * for the same criterion replaces the earlier one completely: fields that it does not set are cleared.
     * Errors are as in ConverseService. NOT_FOUND with UNKNOWN_REQUEST: no answer with this request id is
     * known, or it is older than the retention time. INVALID_ARGUMENT with INVALID_FIELD: BadRequest names
     * every wrong field.
     * </pre>
     */
    public ai.switchboard.v1.RecordFeedbackResponse recordFeedback(ai.switchboard.v1.RecordFeedbackRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getRecordFeedbackMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do limited synchronous rpc calls to service FeedbackService.
   * <pre>
   * Collects feedback on answers, so that quality can be measured by task, model and variant. Feedback is
   * accepted by the instance that served the call, for the retention time of the configuration (default: seven
   * days).
   * </pre>
   */
  public static final class FeedbackServiceBlockingStub
      extends io.grpc.stub.AbstractBlockingStub<FeedbackServiceBlockingStub> {
    private FeedbackServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected FeedbackServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new FeedbackServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Records one judgement of one answer. Free of charge; calls no model. A later judgement by the same judge
     * for the same criterion replaces the earlier one completely: fields that it does not set are cleared.
     * Errors are as in ConverseService. NOT_FOUND with UNKNOWN_REQUEST: no answer with this request id is
     * known, or it is older than the retention time. INVALID_ARGUMENT with INVALID_FIELD: BadRequest names
     * every wrong field.
     * </pre>
     */
    public ai.switchboard.v1.RecordFeedbackResponse recordFeedback(ai.switchboard.v1.RecordFeedbackRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getRecordFeedbackMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do ListenableFuture-style rpc calls to service FeedbackService.
   * <pre>
   * Collects feedback on answers, so that quality can be measured by task, model and variant. Feedback is
   * accepted by the instance that served the call, for the retention time of the configuration (default: seven
   * days).
   * </pre>
   */
  public static final class FeedbackServiceFutureStub
      extends io.grpc.stub.AbstractFutureStub<FeedbackServiceFutureStub> {
    private FeedbackServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected FeedbackServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new FeedbackServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Records one judgement of one answer. Free of charge; calls no model. A later judgement by the same judge
     * for the same criterion replaces the earlier one completely: fields that it does not set are cleared.
     * Errors are as in ConverseService. NOT_FOUND with UNKNOWN_REQUEST: no answer with this request id is
     * known, or it is older than the retention time. INVALID_ARGUMENT with INVALID_FIELD: BadRequest names
     * every wrong field.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.switchboard.v1.RecordFeedbackResponse> recordFeedback(
        ai.switchboard.v1.RecordFeedbackRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getRecordFeedbackMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_RECORD_FEEDBACK = 0;

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
        case METHODID_RECORD_FEEDBACK:
          serviceImpl.recordFeedback((ai.switchboard.v1.RecordFeedbackRequest) request,
              (io.grpc.stub.StreamObserver<ai.switchboard.v1.RecordFeedbackResponse>) responseObserver);
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
          getRecordFeedbackMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              ai.switchboard.v1.RecordFeedbackRequest,
              ai.switchboard.v1.RecordFeedbackResponse>(
                service, METHODID_RECORD_FEEDBACK)))
        .build();
  }

  private static abstract class FeedbackServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    FeedbackServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return ai.switchboard.v1.Feedback.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("FeedbackService");
    }
  }

  private static final class FeedbackServiceFileDescriptorSupplier
      extends FeedbackServiceBaseDescriptorSupplier {
    FeedbackServiceFileDescriptorSupplier() {}
  }

  private static final class FeedbackServiceMethodDescriptorSupplier
      extends FeedbackServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final java.lang.String methodName;

    FeedbackServiceMethodDescriptorSupplier(java.lang.String methodName) {
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
      synchronized (FeedbackServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new FeedbackServiceFileDescriptorSupplier())
              .addMethod(getRecordFeedbackMethod())
              .build();
        }
      }
    }
    return result;
  }
}
